"""The letters that name array axes, and the array types every module annotates with.

| letter | axis |
|---|---|
| B | batch: rows of a batch |
| L | length: token positions of a row |
| P | soft prompt positions |
| D | model width |
| N | attention heads |
| H | width of one head |
| F | hidden width of the feed-forward block |
| V | vocabulary |
| T | query positions of an attention |
| S | key positions of an attention |
| K | candidates: samples of one query |
| E | embedding width of an image or text encoder |
| C | texts laid into rows; or the width of what is attended to |
| Q | learned queries of a pooler |
| R, W | packed rows, and positions of each |
| Y, X | pixels of an image, down and across |
"""

from jaxtyping import Array, Bool, Float, Int, Key, UInt

__all__ = ["Array", "Bool", "Float", "Int", "Key", "UInt"]
