"""How many FLOPs a T5 needs: its matrix products, 2 m n k each, and nothing else.

Knows a T5Config and lengths, no array. What is counted is what the computation asks for, as is
custom for utilisation (arXiv:2204.02311 app. B): attention at full length, what a mask hides
included; nothing for norms, softmax, lookups and the optimiser; nothing for layers that `remat`
computes a second time.

A product y = a b takes one forward and, for the gradient of each factor, one more of the same size.
A factor's gradient is needed where something trained lies in it or before it:

| trained | products of a step, in forward passes                                                  |
|---------|----------------------------------------------------------------------------------------|
| full    | 3 everywhere                                                                           |
| inputs  | 2 with a weight, 3 between activations (scores, weighted values); of the first decoder |
|         | layer, what comes before the encoding does: 1 for self-attention and the query of      |
|         | cross-attention, 2 for its scores                                                      |
| lora    | as inputs, from the first adapted matrix on, and 3 (2 for an A that nothing trained    |
|         | precedes) for the low-rank products                                                    |
"""

import dataclasses
import re

from pe.models.t5_config import T5Config

TRAINABLES = ("full", "inputs", "lora")


@dataclasses.dataclass(frozen=True)
class T5Flops:
    """FLOPs of a batch, by part; the encoding's keys and values are the decoder's."""

    encoder: float
    decoder: float
    logits: float

    @property
    def total(self) -> float:
        return self.encoder + self.decoder + self.logits


def forward_flops(
    config: T5Config, *, num_rows: int, input_length: int, target_length: int
) -> T5Flops:
    """Count a forward pass over `num_rows` rows of so many positions, padding included.

    `input_length` counts soft prompt positions too.

    Example (1 row, 2 inputs, 3 targets; d_model 4, 1 head of 4, d_ff 8, relu, 10 pieces; a layer):
      encoder  4 * 2*2*4*4 + 2 * 2*2*2*4 + 2 * 2*2*4*8                   =  576
      decoder  4 * 2*3*4*4 + 2 * 2*3*3*4                    (self)
               + 2 * 2*3*4*4 + 2 * 2*2*4*4 + 2 * 2*3*2*4    (cross)
               + 2 * 2*3*4*8                                (mlp)        = 1328
      logits   2*3*4*10                                                  =  240
    """
    return _Count(config, num_rows, input_length, target_length).run()


def train_step_flops(
    config: T5Config,
    *,
    num_rows: int,
    input_length: int,
    target_length: int,
    trainable: str = "full",
    lora_rank: int = 0,
    lora_targets: str = "",
) -> T5Flops:
    """Count forward and backward of a step; see the table on top.

    `trainable`: "full" (all parameters), "inputs" (only what is embedded before the encoder: prompt
    tuning, arXiv:2104.08691 sec. 2) or "lora" (arXiv:2106.09685; matrices of rank `lora_rank` on
    every matrix whose dotted name `lora_targets` matches whole, applied to the activations).

    Raises ValueError for another `trainable`, and where it does not fit the LoRA arguments.
    """
    if trainable not in TRAINABLES:
        raise ValueError(f"trainable: got {trainable!r}, expected one of {TRAINABLES}")
    if (trainable == "lora") != (lora_rank > 0):
        raise ValueError(
            f"lora_rank: got {lora_rank} with trainable {trainable!r}, expected 1 or more for "
            "'lora' and 0 for the others"
        )
    count = _Count(
        config,
        num_rows,
        input_length,
        target_length,
        trains_weights=trainable == "full",
        lora_rank=lora_rank,
        lora_targets=lora_targets,
    )
    flops = count.run(
        inputs_live=trainable in ("full", "inputs"), decoder_inputs_live=trainable == "full"
    )
    if trainable == "lora" and not count.num_adapted:
        raise ValueError(
            f"lora_targets: {lora_targets!r} matches no matrix; expected a pattern of whole names "
            "such as 'encoder.layers.0.attention.query' or 'decoder.layers.0.mlp.wo'"
        )
    return flops


class _Count:
    """Walk through a T5 adding up products. "Live" is what something trained lies in or before."""

    def __init__(
        self,
        config: T5Config,
        num_rows: int,
        input_length: int,
        target_length: int,
        *,
        trains_weights: bool = False,
        lora_rank: int = 0,
        lora_targets: str = "",
    ):
        sizes = {"num_rows": num_rows, "input_length": input_length, "target_length": target_length}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name}: got {size}, expected 1 or more")
        self.config = config
        self.num_rows, self.input_length, self.target_length = sizes.values()
        self.trains_weights = trains_weights
        self.lora_rank = lora_rank
        self.lora_targets = lora_targets
        self.num_adapted = 0
        self.flops = 0.0

    def run(self, *, inputs_live: bool = False, decoder_inputs_live: bool = False) -> T5Flops:
        """Count both stacks and the logits."""
        config, num_inputs, num_targets = self.config, self.input_length, self.target_length
        encoded = inputs_live
        for i in range(config.num_encoder_layers):
            name = f"encoder.layers.{i}"
            encoded = self.attention(f"{name}.attention", num_inputs, num_inputs, encoded, encoded)
            encoded = self.mlp(f"{name}.mlp", num_inputs, encoded)
        encoder, self.flops = self.flops, 0.0
        x = decoder_inputs_live
        for i in range(config.num_decoder_layers):
            name = f"decoder.layers.{i}"
            x = self.attention(f"{name}.self_attention", num_targets, num_targets, x, x)
            cross = f"{name}.encoder_decoder_attention"
            x = self.attention(cross, num_targets, num_inputs, x, encoded)
            x = self.mlp(f"{name}.mlp", num_targets, x)
        decoder, self.flops = self.flops, 0.0
        name = "" if config.tied_logits else "decoder.logits_dense"  # the table takes no adapter
        self.linear(name, num_targets, config.d_model, config.vocab_size, x)
        return T5Flops(encoder, decoder, self.flops)

    def attention(self, name: str, num_queries: int, num_keys: int, x: bool, context: bool) -> bool:
        """Count an attention from x to a context; tell whether what it is added to is live."""
        config = self.config
        inner = config.num_heads * config.head_dim
        queries = self.linear(f"{name}.query", num_queries, config.d_model, inner, x)
        keys = self.linear(f"{name}.key", num_keys, config.d_model, inner, context)
        values = self.linear(f"{name}.value", num_keys, config.d_model, inner, context)
        scores = 2.0 * self.num_rows * inner * num_queries * num_keys
        weights = self.product(scores, queries, keys)
        y = self.product(scores, weights, values)
        return self.linear(f"{name}.out", num_queries, inner, config.d_model, y) or x

    def mlp(self, name: str, length: int, x: bool) -> bool:
        """Count a feed-forward block; tell whether what it is added to is live."""
        config = self.config
        hidden = [
            self.linear(f"{name}.wi.{i}", length, config.d_model, config.d_ff, x)
            for i in range(len(config.activations))
        ]
        return self.linear(f"{name}.wo", length, config.d_ff, config.d_model, any(hidden)) or x

    def linear(self, name: str, length: int, in_width: int, out_width: int, x: bool) -> bool:
        """Count a matrix and its adapter; tell whether the result is live."""
        num_tokens = self.num_rows * length
        live = self.product(2.0 * num_tokens * in_width * out_width, x, self.trains_weights)
        if not self.lora_rank or not re.fullmatch(self.lora_targets, name):
            return live
        self.num_adapted += 1
        self.product(2.0 * num_tokens * in_width * self.lora_rank, x, True)
        return self.product(2.0 * num_tokens * self.lora_rank * out_width, True, True)

    def product(self, flops: float, a: bool, b: bool) -> bool:
        """Count one forward, and one more for each live factor; tell whether the result is live."""
        self.flops += flops * (1 + a + b)
        return a or b
