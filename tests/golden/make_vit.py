"""Makes tests/golden/vit_*.npz: what timm and transformers compute.

  cd tests && python -m golden.make_vit

needs torch, timm and transformers (2.13.0, 1.0.31 and 5.23.0 when last run;
every file records its own). The references run in float64 on float32 weights,
so all rounding in a comparison is that of the code under test.
"""

import contextlib
import functools
import hashlib
import json
import pathlib
import tempfile

import numpy as np
import torch
from golden import verified, vit_cases, weights
from safetensors.torch import load_file, save_file

with contextlib.suppress(ImportError):
  # Mends a torchvision without operators, which timm would trip over.
  from golden import make_resnet  # noqa: F401
import timm
import transformers
from timm.models import deit, vision_transformer

VERSIONS = {
  "timm": f"{timm.__version__}, torch {torch.__version__}",
  "transformers": f"{transformers.__version__}, torch {torch.__version__}",
}
FOLDER = pathlib.Path(__file__).parent


def draw(state, seed: int) -> dict[str, torch.Tensor]:
  """Returns a state dict's values, by their names."""
  return {
    name: torch.from_numpy(weights.draw(name, tuple(tensor.shape), seed))
    for name, tensor in state.items()
  }


def make_timm(case: str, seed: int = 0):
  """Returns the original of a case with its drawn weights, in float64."""
  kind, arguments = vit_cases.TIMM[case]
  arguments = dict(arguments)
  if "norm_eps" in arguments:
    arguments["norm_layer"] = functools.partial(
      torch.nn.LayerNorm, eps=arguments.pop("norm_eps")
    )
  if "mlp_layer" in arguments:
    arguments["mlp_layer"] = getattr(timm.layers, arguments["mlp_layer"])
  home = deit if hasattr(deit, kind) and "Distilled" in kind else None
  cls = getattr(home or vision_transformer, kind)
  model = cls(num_classes=weights.CLASSES, **arguments)
  model.load_state_dict(draw(model.state_dict(), seed))
  return model.double().eval()


def make_hf(case: str, folder: pathlib.Path, seed: int = 0):
  """Returns the same of transformers, and the files that it saves.

  Names in memory are not those of files, and the weights are drawn by these.
  """
  kind, settings = vit_cases.HF[case]
  cls = getattr(transformers, kind)
  config = cls.config_class(**settings, num_labels=weights.CLASSES)
  cls(config).save_pretrained(folder)
  values = draw(load_file(folder / "model.safetensors"), seed)
  save_file(values, folder / "model.safetensors", {"format": "pt"})
  # Only float32 is read as it is; float64 follows.
  model = cls.from_pretrained(
    folder, attn_implementation="eager", dtype=torch.float32
  )
  return model.double().eval()


def make_google(seed: int = 0):
  """Returns timm's model with what it reads from a .npz of Google."""
  _, arguments = vit_cases.TIMM["vit_plain"]
  cls = vision_transformer.VisionTransformer
  model = cls(num_classes=weights.CLASSES, **arguments)
  arrays = {
    name: weights.draw(name, shape, seed)
    for name, shape in vit_cases.google_shapes().items()
  }
  with tempfile.TemporaryDirectory() as name:
    path = pathlib.Path(name) / "weights.npz"
    np.savez(path, **arrays)
    model.load_pretrained(str(path))
  return model.double().eval()


def make_resized(seed: int = 0):
  """Returns a model for 24 pixels with weights for 16, and their shapes."""
  _, arguments = vit_cases.TIMM["vit_plain"]
  cls = vision_transformer.VisionTransformer
  small = cls(num_classes=weights.CLASSES, **arguments)
  large = cls(num_classes=weights.CLASSES, **{**arguments, "img_size": 24})
  state = draw(small.state_dict(), seed)
  large.load_state_dict(vision_transformer.checkpoint_filter_fn(state, large))
  shapes = {name: tuple(x.shape) for name, x in state.items()}
  return large.double().eval(), shapes


def positions() -> dict[str, np.ndarray]:
  """Returns position embeddings resampled by timm."""
  return {
    case: timm.layers.resample_abs_pos_embed(
      torch.from_numpy(array), [new, new], num_prefix_tokens=prefix
    ).numpy()
    for case, (array, new, prefix) in vit_cases.positions().items()
  }


def record(case: str, seed: int = 0) -> dict[str, np.ndarray]:
  """Returns everything that is compared, by name."""
  image = torch.from_numpy(vit_cases.images(seed)).permute(0, 3, 1, 2).double()
  if case == "vit_google":
    return _logits(make_google(seed), image, vit_cases.google_shapes())
  if case == "vit_resized":
    image = torch.nn.functional.interpolate(image, (24, 24), mode="nearest")
    model, shapes = make_resized(seed)
    return _logits(model, image, shapes)
  if case in vit_cases.TIMM:
    model = make_timm(case, seed)
    shapes = {n: tuple(x.shape) for n, x in model.state_dict().items()}
    result = _run(model, image, list(model.blocks), _timm_outputs, seed)
    grads = {n: p.grad for n, p in model.named_parameters()}
    return _recorded(result, shapes, grads, {})
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    model = make_hf(case, folder, seed)
    shapes = {
      n: tuple(x.shape)
      for n, x in load_file(folder / "model.safetensors").items()
    }
    config = json.loads((folder / "config.json").read_text())
    result = _run(model, image, _hf_blocks(model), _hf_outputs, seed)
    for parameter in model.parameters():  # to be saved under the files' names
      grad = parameter.grad
      parameter.data = torch.zeros_like(parameter) if grad is None else grad
    model.save_pretrained(folder)
    grads = load_file(folder / "model.safetensors")
  return _recorded(result, shapes, grads, config)


def _run(model, image, blocks, outputs_of, seed):
  kept = []
  hooks = [
    block.register_forward_hook(
      lambda _, __, out: kept.append(out[0] if isinstance(out, tuple) else out)
    )
    for block in blocks
  ]
  outputs = outputs_of(model, image)
  for hook in hooks:
    hook.remove()
  loss = sum(
    (
      out * torch.from_numpy(vit_cases.cotangent(name, tuple(out.shape), seed))
    ).sum()
    for name, out in outputs.items()
    if name in ("logits", "hidden", "features")
  )
  loss.backward()
  result = {name: x.detach().numpy() for name, x in outputs.items()}
  for i, out in enumerate(kept[: len(blocks)]):  # some run twice
    summary = weights.summary("block", out.detach().numpy(), 8)
    result[f"block_{i:02d}"] = summary
  return result


def _logits(model, image, shapes) -> dict[str, np.ndarray]:
  with torch.no_grad():
    outputs = _timm_outputs(model, image)
  result = {name: x.numpy() for name, x in outputs.items()}
  return _recorded(result, shapes, {}, {})


def _timm_outputs(model, image) -> dict[str, torch.Tensor]:
  hidden = model.forward_features(image)
  outputs = {
    "hidden": hidden,
    "features": model.forward_head(hidden, pre_logits=True),
    "logits": model.forward_head(hidden),
  }
  if hasattr(model, "head_dist"):
    outputs["logits_class"] = model.head(hidden[:, 0])
    outputs["logits_distilled"] = model.head_dist(hidden[:, 1])
  return outputs


def _hf_base(model):
  names = ("vit", "deit", "dinov2", "dinov2_with_registers", "vision_model")
  return next((getattr(model, n) for n in names if hasattr(model, n)), model)


def _hf_blocks(model) -> list:
  base = _hf_base(model)
  if hasattr(base, "encoder"):
    return list(getattr(base.encoder, "layer", None) or base.encoder.layers)
  return list(base.layers)


def _hf_outputs(model, image) -> dict[str, torch.Tensor]:
  base = _hf_base(model)
  encoded = base(image)
  hidden = encoded.last_hidden_state
  if hasattr(model, "visual_projection"):
    projected = model.visual_projection(encoded.pooler_output)
    return {"hidden": base.post_layernorm(hidden), "features": projected}
  if base is model:
    return {"hidden": hidden, "features": encoded.pooler_output}
  outputs = model(image)
  found = {"hidden": hidden, "logits": outputs.logits}
  if "distillation_logits" in outputs:
    found["logits_class"] = outputs.cls_logits
    found["logits_distilled"] = outputs.distillation_logits
  return found


def _recorded(result, shapes, grads, config) -> dict[str, np.ndarray]:
  for name, grad in grads.items():
    if grad is not None and grad.abs().max() > 0:  # else it is not used
      result[f"grad/{name}"] = weights.summary(name, grad.numpy())
  result = {name: np.asarray(x, np.float32) for name, x in result.items()}
  # Without what depends on the release.
  config = {k: v for k, v in config.items() if k != "transformers_version"}
  texts = {"shapes": shapes, "config": config}
  return result | {n: np.array(json.dumps(x)) for n, x in texts.items()}


def digests() -> dict[str, tuple[int, str]]:
  """Returns parameter count and hash of names and shapes, by preset of timm."""
  found = {}
  for preset in json.loads((FOLDER / "vit_presets.json").read_text()):
    with torch.device("meta"):
      state = timm.create_model(preset, num_classes=1000).state_dict()
    rows = sorted(f"{name} {tuple(x.shape)}" for name, x in state.items())
    digest = hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]
    found[preset] = sum(x.numel() for x in state.values()), digest
  return found


def main() -> None:
  presets = digests()
  lines = [f"{json.dumps(n)}: {json.dumps(x)}" for n, x in presets.items()]
  path = FOLDER / "vit_presets.json"
  path.write_text("{\n  " + ",\n  ".join(lines) + "\n}\n")
  rows = [
    verified.row(
      preset=preset,
      layout="timm",
      reference="timm",
      version=VERSIONS["timm"],
      params=count,
      what="names and shapes",
    )
    for preset, (count, _) in presets.items()
  ]
  verified.record("vit", rows)
  np.savez_compressed(FOLDER / "vit_positions.npz", **positions())
  for case in (*vit_cases.CASES, "vit_google", "vit_resized"):
    path = FOLDER / f"{case}.npz"
    kind = "transformers" if case in vit_cases.HF else "timm"
    versions = np.array(f"{kind} {VERSIONS[kind]}")
    np.savez_compressed(path, versions=versions, **record(case))
    print(path.name, path.stat().st_size)


if __name__ == "__main__":
  main()
