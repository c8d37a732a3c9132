"""Peak FLOPs of devices, and how much of them a step used. Knows no model.

The figures are the vendors', dense (datasheets that print them "with sparsity" are halved), for one
JAX device as `device.device_kind` names it. A kind that is not listed has no figure: none is
guessed from a similar name, since a part of a GPU (MIG) and a slower card are called alike.
"""

DTYPES = ("bfloat16", "float32")

# TFLOP/s: bfloat16 with float32 sums; float32 as JAX multiplies it by default, which is TF32 on
# NVIDIA's cards from Ampere on. With jax_default_matmul_precision "highest" it is slower than that.
_GPU = {
    # NVIDIA A100 datasheet (2021): 312, 156; with sparsity 624, 312
    "NVIDIA A100-SXM4-40GB": (312.0, 156.0),
    "NVIDIA A100-SXM4-80GB": (312.0, 156.0),
    "NVIDIA A100-PCIE-40GB": (312.0, 156.0),
    "NVIDIA A100 80GB PCIe": (312.0, 156.0),
    # NVIDIA A30, A10 datasheets (2021): 165, 82; 125, 62.5
    "NVIDIA A30": (165.0, 82.0),
    "NVIDIA A10": (125.0, 62.5),
    # NVIDIA H100 datasheet: with sparsity 1,979, 989 (SXM); 1,513, 756 (PCIe); 1,671, 835 (NVL)
    "NVIDIA H100 80GB HBM3": (989.5, 494.5),
    "NVIDIA H100 PCIe": (756.5, 378.0),
    "NVIDIA H100 NVL": (835.5, 417.5),
    # NVIDIA H200 datasheet: with sparsity 1,979, 989 (SXM); 1,671, 835 (NVL)
    "NVIDIA H200": (989.5, 494.5),
    "NVIDIA H200 NVL": (835.5, 417.5),
    # NVIDIA GH200 datasheet: with sparsity 1,979, 989
    "NVIDIA GH200 480GB": (989.5, 494.5),
    # NVIDIA HGX B200 and GB200 NVL72 pages, one GPU: with sparsity 4,500, 2,200; 5,000, 2,500
    "NVIDIA B200": (2250.0, 1100.0),
    "NVIDIA GB200": (2500.0, 1250.0),
    # NVIDIA L4 datasheet: with sparsity 242, 120; L40S datasheet: 362.05, 183
    "NVIDIA L4": (121.0, 60.0),
    "NVIDIA L40S": (362.05, 183.0),
    # NVIDIA Ada (v2) and GA102 (v2) whitepapers, tables of the GeForce cards
    "NVIDIA GeForce RTX 4090": (165.2, 82.6),
    "NVIDIA GeForce RTX 3090": (71.0, 35.6),
}

# TFLOP/s of bfloat16, from the "peak compute per chip" of Cloud TPU's pages v3, v4, v5e, v5p, v6e
# and TPU7x. float32 has the same peak: by default JAX multiplies it on a TPU in one bfloat16 pass.
# A JAX device is a chip where the chip has one core (v5e, v6e) or two that work as one ("megacore",
# the default on v4 and v5p, assumed here); on v3 and TPU7x it is one of the chip's two cores.
_TPU = {
    "TPU v3": 123.0 / 2,
    "TPU v4": 275.0,
    "TPU v5 lite": 197.0,
    "TPU v5e": 197.0,
    "TPU v5": 459.0,
    "TPU v5p": 459.0,
    "TPU v6 lite": 918.0,
    "TPU v6e": 918.0,
    "TPU7x": 2307.0 / 2,
}


def peak_flops(device_kind: str, dtype: str) -> float | None:
    """Return the most FLOP/s a device can do in products of `dtype`; None where that is not known.

    `dtype` is what the products' factors are of. CPUs have no figure: it depends on their clock and
    number of cores, which their kind does not tell.

    Example:
      device_kind  dtype     returns
      NVIDIA H200  bfloat16  989.5e12
      NVIDIA H200  float32   494.5e12
      TPU v4       float32   275e12
      cpu          float32   None

    Raises ValueError for another dtype.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype: got {dtype!r}, expected one of {DTYPES}")
    if device_kind in _TPU:
        return _TPU[device_kind] * 1e12
    if device_kind in _GPU:
        return _GPU[device_kind][DTYPES.index(dtype)] * 1e12
    return None


def flops_utilisation(
    flops_per_step: float, secs_per_step: float, *, num_devices: int, peak: float
) -> float:
    """Return what a step needs as a fraction of what its devices can do (arXiv:2204.02311 app. B).

    `flops_per_step` are those of the whole batch, all devices together; `peak` is one device's.

    Example:
      flops_per_step  secs_per_step  num_devices  peak     returns
      4e14            0.5            8            2.5e14   0.4

    Raises ValueError for a number that is not above 0.
    """
    positive = {
        "flops_per_step": flops_per_step,
        "secs_per_step": secs_per_step,
        "num_devices": num_devices,
        "peak": peak,
    }
    for name, value in positive.items():
        if not value > 0:
            raise ValueError(f"{name}: got {value}, expected above 0")
    return flops_per_step / (secs_per_step * num_devices * peak)
