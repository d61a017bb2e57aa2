"""Attention: XLA's, or a kernel's that never holds all scores at once."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from jft.errors import UserError
from jft.typing import Any, Array, Bool, Float, Int

ATTENTIONS = ("xla", "cudnn", "flash", "auto")
_KERNELS = (("gpu", "cudnn"), ("tpu", "flash"))
_LANES = 128  # The kernel for TPU reads so many keys at least.
_TILES = (
  *("block_q", "block_kv", "block_kv_compute"),
  *("block_q_dkv", "block_kv_dkv", "block_kv_dkv_compute"),
  *("block_q_dq", "block_kv_dq"),
)


@dataclasses.dataclass(frozen=True)
class Sees:
  """Which keys a query sees: as one mask, and as the rules it is made of.

  Attributes:
    mask: all of it, None for every key.
    segments: a query sees the keys of its own number; None for all.
    causal: it sees none behind itself.
    window: how many it sees, itself included; 0 for no limit, None if that
      is only known inside the program.
  """

  mask: Bool[Array, "b 1 #n m"] | None = None
  segments: Int[Array, "b n"] | None = None
  causal: bool = False
  window: int | None = 0


def attend(
  query: Float[Array, "b n h d"],
  key: Float[Array, "b m kv d"],
  value: Float[Array, "b m kv d"],
  sees: Sees,
  *,
  scale: float | None = None,
  cap: float = 0.0,
  drop: nn.Dropout | None = None,
  by: str = "xla",
) -> Float[Array, "b n h d"]:
  """Returns the values that each query's scores weigh.

  Args:
    query, key, value: of all heads; fewer of keys and values serve groups of
      queries.
    sees: which keys a query sees.
    scale: of the scores; None is one over the root of d.
    cap: scores stay between plus and minus this, by tanh; 0 does nothing.
    drop: of the weights.
    by: "xla"; "cudnn" on NVIDIA's GPUs; "flash" on TPU; or "auto", which is
      the kernel of the machine, and XLA's where that cannot do it. On several
      TPUs the kernel runs under pmap or shard_map alone.

  Raises:
    UserError: if the kernel cannot do it, saying why.

  Source: `jax.nn.dot_product_attention`; Dao, arXiv:2307.08691; JAX's splash
    attention for TPU.

  >>> x, seen = jnp.ones((1, 4, 2, 8)), jnp.tri(4, dtype=bool)[None, None]
  >>> attend(x, x, x, Sees(seen, causal=True)).shape
  (1, 4, 2, 8)
  """
  factor = query.shape[-1] ** -0.5 if scale is None else scale
  drops = drop is not None and drop.rate > 0 and not drop.deterministic
  by = _chosen(by, query, sees, cap, drops)
  if by == "flash":
    return _splash(query, key, value, sees, factor, cap)
  if by == "cudnn":
    b, n, m = query.shape[0], query.shape[1], key.shape[1]
    mask = sees.mask
    return jax.nn.dot_product_attention(
      query,
      key,
      value,
      mask=None if mask is None else jnp.broadcast_to(mask, (b, 1, n, m)),
      scale=factor,
      is_causal=sees.causal,
      implementation="cudnn",
    )
  # JAX's own knows no cap and no dropout, and no more digits than float32.
  if not (cap or drops or _wide(query) != jnp.float32):
    return jax.nn.dot_product_attention(
      query, key, value, mask=sees.mask, scale=factor, implementation="xla"
    )
  return _spelled_out(query, key, value, sees.mask, factor, cap, drop)


def capped(x: Array, cap: float) -> Array:
  """Returns values bent to stay between plus and minus `cap`.

  >>> [f"{x:.1f}" for x in capped(jnp.array([1.0, 1000.0]), 50.0)]
  ['1.0', '50.0']
  """
  return cap * jnp.tanh(x / cap)


def _chosen(by: str, query: Array, sees: Sees, cap: float, drops: bool) -> str:
  if by not in ATTENTIONS:
    raise UserError(f"attention={by!r}: choose one of {', '.join(ATTENTIONS)}.")
  asked, platform = by, jax.default_backend()
  if by == "auto":
    by = dict(_KERNELS).get(platform, "xla")
  why = _refusal(by, platform, query, sees, cap, drops)
  if not why:
    return by
  if asked == "auto":
    return "xla"
  raise UserError(
    f"attention={by!r} {why}. Take attention='xla', or 'auto' for the kernel"
    " wherever it serves."
  )


def _refusal(
  by: str, platform: str, query: Array, sees: Sees, cap: float, drops: bool
) -> str:
  """Says why a kernel cannot do it; "" if it can."""
  if by == "xla":
    return ""
  n, d, dtype = query.shape[1], query.shape[3], query.dtype
  half = (jnp.bfloat16, jnp.float16)
  own = {kernel: where for where, kernel in _KERNELS}[by]
  if platform != own:
    return f"runs on a {own.upper()}, and JAX computes on {platform} here"
  if drops:
    return "drops no attention weights: load with attention_dropout=0"
  if by == "flash":
    if dtype not in (*half, jnp.float32):
      return f"computes in float32, bfloat16 or float16, got {dtype}"
    if jax.device_count() > 1 and not _mapped():
      return (
        "is not cut over several devices by the compiler, and 'auto' takes it"
        " where pmap or shard_map cut the batch"
      )
    if sees.window is None:
      return "needs each block's window ahead: leave out scan=True"
    return ""
  if dtype not in half:
    return f"computes in bfloat16 or float16, got {dtype}: set dtype"
  if cap:
    return f"caps no scores, and this model's are capped at {cap:g}"
  if d % 8:
    return f"needs heads of a multiple of 8 channels, got {d}"
  if sees.mask is not None and n % 2:
    return f"needs an even number of tokens, got {n}"
  return ""


def _mapped() -> bool:
  """Whether every device runs this on its own part, under pmap or shard_map."""
  mesh = jax.sharding.get_abstract_mesh()
  return bool(mesh.axis_names) and set(mesh.manual_axes) == {*mesh.axis_names}


def _splash(
  query: Array,
  key: Array,
  value: Array,
  sees: Sees,
  scale: float,
  cap: float,
) -> Array:
  # Here: importing Pallas takes a tenth of a second.
  from jax.experimental.pallas.ops.tpu import splash_attention as splash

  b, n, heads, _ = query.shape
  more = -n % _LANES
  segments = sees.segments
  if segments is None:
    segments = jnp.ones((b, n), jnp.int32)
  segments = jnp.pad(segments, ((0, 0), (0, more)))
  query, key, value = (
    jnp.pad(x, ((0, 0), (0, more), (0, 0), (0, 0))).swapaxes(1, 2)
    for x in (query * jnp.asarray(scale, query.dtype), key, value)
  )
  square = (n + more, n + more)
  if sees.window:
    mask = splash.LocalMask(square, (sees.window - 1, 0), 0)
  else:
    mask = splash.CausalMask(square) if sees.causal else splash.FullMask(square)
  # The largest tiles that the length is a multiple of.
  tile = next(size for size in (512, 256, _LANES) if (n + more) % size == 0)
  sizes: Any = dict.fromkeys(_TILES, tile)
  kernel: Any = splash.make_splash_mha(
    splash.MultiHeadMask([mask] * heads),
    block_sizes=splash.BlockSizes(**sizes),
    head_shards=1,
    q_seq_shards=1,
    attn_logits_soft_cap=cap or None,
  )
  ids = splash.SegmentIds(segments, segments)
  y = jax.vmap(kernel)(query, key, value, ids)
  return y.swapaxes(1, 2)[:, :n]


def _spelled_out(
  query: Array,
  key: Array,
  value: Array,
  mask: Array | None,
  scale: float,
  cap: float,
  drop: nn.Dropout | None,
) -> Array:
  (b, n, heads, d), kv, wide = query.shape, key.shape[2], _wide(query)
  grouped = query.reshape(b, n, kv, heads // kv, d)
  scores = scale * jnp.einsum(
    "bnkgd,bmkd->bkgnm", grouped, key, preferred_element_type=wide
  )
  if cap:
    scores = capped(scores, cap)
  if mask is not None:
    # Not -inf: a row of nothing but padding would turn into NaN.
    scores = jnp.where(mask[:, :, None], scores, jnp.finfo(wide).min)
  weights = nn.softmax(scores).astype(value.dtype)
  if drop is not None:
    weights = drop(weights)
  y = jnp.einsum("bkgnm,bmkd->bnkgd", weights, value)
  return y.reshape(b, n, heads, d)


def _wide(x: Array) -> jnp.dtype:
  return jnp.promote_types(x.dtype, jnp.float32)
