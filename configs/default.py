"""Every key a run has, declared once: its type, its default, what it means.

A recipe starts from `jft.config.default()` and changes what it needs; the
command line changes the rest: `--config.optim.lr=1e-3`. The default's type is
the key's type, and an unknown key is an error.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
  """Returns the default configuration."""
  return ConfigDict(
    {
      "seed": 0,  # Names every random stream: init, order, dropout, split.
      # GPU: bitwise equal reruns, for some speed (docs/reproducibility.md).
      "deterministic": False,
      "model": {
        # What `jft.load_pretrained` takes: "jft:NAME", "hf:org/name",
        # "package:NAME", a folder or a file.
        "source": "",
        # Preset of the architecture, where the source does not say: "resnet34".
        "arch": "",
        # False: the same architecture from random weights.
        "pretrained": True,
        # What the model computes in: "float32" or "bfloat16".
        "dtype": "float32",
        # Who computes attention: "xla"; "cudnn" on NVIDIA's GPUs, in bfloat16;
        # "flash" on TPU; "auto": the machine's own kernel where it serves.
        "attention": "xla",
        # Text: how tokens become one vector, "cls_pooler", "cls" or "mean"
        # (empty: the family's own way).
        "pooling": "",
        # Keep the kernels of frozen dense layers in 8 or 4 bits: "int8" or
        # "nf4" (empty: as they are); "nf4" beside a "lora" is QLoRA.
        "quantize": "",
        # Recompute blocks in the backward pass to save memory.
        "remat": False,
        # Hidden layers of the new head (empty: the family's own head, one
        # dense layer but for RoBERTa and DistilBERT, which have two).
        "head_widths": (),
        # Of its last kernel: "family", "zeros" or "trunc_normal".
        "head_init": "family",
        # Start its bias at the logarithm of the classes' shares in training.
        "head_prior": False,
        # Before its last layer; 0 leaves what the source has there.
        "head_dropout": 0.0,
        # Rates in training, where the family has them (-1: the source's own):
        # Of states and features, also before a head whose source says no more:
        "dropout": -1.0,
        "attention_dropout": -1.0,  # of the attention's weights,
        "drop_path": -1.0,  # of whole branches: stochastic depth.
        # Blocks to keep, in order, one that comes twice doubled (empty: all).
        "keep_blocks": (),
        # Leaves to start anew: regexes, such as "params/block_11/.*".
        "reinit": (),
        # Text: words to add to the vocabulary, one token each.
        "new_tokens": (),
      },
      "data": {
        # Sources: "sklearn:digits", "tfds:NAME/SPLIT", "idx:FOLDER/SPLIT",
        # "folder:PATH", "csv:PATH", "jsonl:PATH", "conll:PATH" (words with
        # tags); of documents "text:PATH" (also "text:PATH[:90%]", the first of
        # its lines), "json:PATH", "jsonl:PATH", "csv:PATH". $VARIABLES are
        # expanded.
        "train": "",
        # As "train"; empty: cut off the training source, by content hash.
        "validation": "",
        # As "validation"; empty with no fraction: no test.
        "test": "",
        # The share that is cut off where "validation" is empty.
        "validation_fraction": 0.1,
        # The share that is cut off where "test" is empty.
        "test_fraction": 0.0,
        # Names the cut (-1: `seed` does); runs to be averaged share it.
        "split_seed": -1,
        # Use so many training examples, as evenly over the classes as can be
        # (0: all).
        "train_examples": 0,
        # Order of the class names (empty: as the source says, or sorted).
        "label_names": (),
        # Column of a csv or jsonl; a number where the file has no header.
        "text_column": "text",
        "text_pair_column": "",  # Second text of a pair (empty: no pairs).
        # "retrieval": a third text, which does not belong to the first.
        "negative_column": "",
        "label_column": "label",  # Class name or index, or a number.
        # "multi_label": columns of 0 and 1, one for each class, in place of
        # label_column.
        "label_columns": (),
        # "multi_label": between the names in a csv's label_column.
        "label_separator": ",",
        # Training: "natural" passes every example once an epoch; "balanced"
        # draws the classes equally often, "sqrt" by the roots of their sizes.
        "sampling": "natural",
        "header": True,  # Does the csv's first line name the columns?
        # Images: side in pixels (0: the model's own).
        "image_size": 0,
        # Images: what is subtracted from each channel's values from 0 to 1,
        # such as (0.485, 0.456, 0.406) (empty: the model's own).
        "mean": (),
        # Images: what they are divided by (empty: the model's own).
        "std": (),
        # Images: the interpolation, "bilinear" or "bicubic", for example
        # (empty: the model's own).
        "resize": "",
        # Images: a share such as 0.875 resizes the short side and cuts out the
        # centre (0: the model's own way).
        "crop_pct": 0.0,
        # Images: squeeze the whole image into the square, whatever its shape
        # and the model's own way; with crop_pct, before the centre is cut out.
        "squeeze": False,
        # Images, in training: "none"; "flip" mirrors half of them; "crop_flip"
        # also cuts out a random part, 8 % of the area or more (Inception's).
        "augment": "none",
        # Text: longest input in tokens; the rest is cut off (of words with
        # tags it is read in parts).
        "max_length": 128,
        # Documents in a "text:" file: what stands between two of them (empty:
        # the file is one).
        "separator": "",
        # Documents of JSON: what is asked, such as "{question}\n{context}",
        # every "{key}" being what the object has there.
        "prompt": "",
        "response": "",  # What is answered, such as "{answer}".
        # Documents of JSON: the key of a chat, a list of {"role", "content"}.
        "messages_column": "",
        "system": "",  # A message that begins every chat without one.
        # How a chat is written: "auto", by the tokenizer's own template; a
        # .jinja file; or "none", one turn after the other.
        "template": "auto",
        # Documents: fill rows of max_length with several, each of which sees
        # itself alone.
        "packing": False,
        # What ends a document (empty: the tokenizer's own end token).
        "eos_token": "",
        # Text: how many padded lengths there are, each compiled once.
        "buckets": 4,
        # Unreadable examples: "error", or "skip" (named and counted).
        "on_error": "error",
        # Batches prepared ahead of the device.
        "prefetch": 2,
      },
      "augment": {
        # Images, in training, on the device and in this order: "flip",
        # "flip_vertical", "random_resized_crop", "pad_crop", "rotate", "scale",
        # "affine", "perspective", "color_jitter", "grayscale", "gaussian_blur",
        # "sharpness", "solarize", "posterize", "equalize", "autocontrast",
        # "invert", "rand_augment", "trivial_augment", "aug_mix".
        "images": (),
        # "random_resized_crop": the least share of the area.
        "min_area": 0.08,
        "padding": 4,  # "pad_crop": pixels on each side.
        "degrees": 15.0,  # "rotate" and "affine": at most, either way.
        # "color_jitter": of brightness, contrast and saturation; a quarter of
        # it is the hue's.
        "jitter": 0.4,
        "rand_augment_ops": 2,  # Changes after one another.
        "rand_augment_magnitude": 9,  # Their strength, 0 to 30.
        # Paint a rectangle over this share of the images.
        "erasing": 0.0,
        # Mix images and their labels in pairs: alpha of Beta(alpha, alpha),
        # from which the shares are drawn (0: off).
        "mixup": 0.0,
        # As "mixup", by a rectangle of the other; with both, half of each.
        "cutmix": 0.0,
        # Evaluate and predict by the mean over views: "flip", "crops".
        "test_time": (),
        "test_time_mean": "probabilities",  # Or "logits".
        # Text: hide this share of the words from the attention.
        "word_dropout": 0.0,
        # Text: put the mask token in the place of this share of the words.
        "token_masking": 0.0,
        # Text: a file of lines "word<TAB>synonym<TAB>synonym ...".
        "synonyms": "",
        # Replace this share of the words that have a synonym.
        "synonym_share": 0.1,
      },
      "task": {
        # "classification": one label an example. "multi_label": any number of
        # them. "ordinal": one of classes in the order of data.label_names.
        # "regression": one number. "similarity": one number, of two texts that
        # are read apart. "retrieval": two texts that belong together.
        # "token_classification": a tag for each word. "causal_lm": the next
        # token of documents. "masked_lm": tokens of documents that are hidden.
        "name": "classification",
        # What is minimised (empty: the first): of classes "cross_entropy",
        # "focal" or "sigmoid_focal"; of several classes "cross_entropy" or
        # "focal"; of numbers "mse", "mae" or "huber"; of texts that belong
        # together "ranking", or "triplet" with data.negative_column.
        "loss": "",
        # A weighted sum of such losses in the place of `loss`, such as
        # (("mse", 1.0), ("mae", 0.5)).
        "mix": (),
        # Share of the target that is spread over all classes, or words.
        "label_smoothing": 0.0,
        "focal_gamma": 2.0,  # "focal": more looks away from easy examples.
        # Focal loss by sigmoids: the weight of a yes, of a no 1 minus that
        # (0: both count 1).
        "focal_alpha": 0.0,
        # How much an example of each class counts in training, in the order of
        # the classes (empty: all the same).
        "class_weights": (),
        # The same from training's counts: "balanced", or "effective", by the
        # effective number of examples.
        "class_balance": "",
        "effective_beta": 0.999,  # "effective": 0 is no weights.
        # "multi_label": how many times a yes counts in training, of each class
        # (class_balance="balanced": as often as there are no's for a yes).
        "pos_weight": (),
        # Training alone: add so many times the logarithm of the classes'
        # shares to the logits; 1 is what the balanced error asks for.
        "logit_adjustment": 0.0,
        "huber_delta": 1.0,  # "huber": where a difference is an outlier.
        # (low, high) of a regression's targets, which the model then sees
        # between 0 and 1 (empty: as they are).
        "target_range": (),
        "temperature": 0.05,  # "ranking": what cosines are divided by.
        # "ranking": learn to find the query of a passage too.
        "symmetric": False,
        "margin": 1.0,  # "triplet": in Euclidean distance.
        "mask_probability": 0.15,  # "masked_lm": share of tokens to be told.
        # R-Drop: the weight of two passes' difference (0: one pass).
        "r_drop": 0.0,
        # Distillation: a model of the same classes, tags or words and inputs,
        # as `model.source` (empty: none).
        "teacher": "",
        "teacher_alpha": 0.5,  # The teacher's share against the labels'.
        "teacher_temperature": 2.0,  # Of both models' probabilities.
        "teacher_features": 0.0,  # Weight of the features' difference.
      },
      "tune": {
        # What is trained: "full" (everything; beside an adapter, the adapter
        # and the head); "lp_ft", the head alone for the share `head_first` of
        # the run (0: half of it), then everything; "linear_probe",
        # "top_blocks", "norm_only", "bias_only"; "surgical", the head and the
        # `blocks` parts whose gradient is relatively largest; or empty, and
        # `rules` say it.
        "preset": "full",
        # How many blocks "top_blocks" trains; how many parts "surgical".
        "blocks": 0,
        # Ordered ((regex, label), ...) over parameter names; label "freeze".
        "rules": (),
        # Train the head alone for this share of the run, then the rest too.
        "head_first": 0.0,
        # "gradual": the head first, then block by block from the top down,
        # with the lowest block what lies below it. Thaw by one of the next
        # three: so many steps, so many epochs, or a plateau.
        "unfreeze": "",
        "unfreeze_every_steps": 0,  # Steps of a phase.
        "unfreeze_every_epochs": 0.0,  # Epochs of a phase.
        # Evaluations without a better `stop.metric` that end a phase.
        "unfreeze_patience": 0,
        "unfreeze_blocks": 1,  # Blocks that a phase thaws.
        "measure_batches": 5,  # "surgical": training batches that are measured.
        # BatchNorm's running statistics: "auto", those of a module that is
        # frozen whole rest; "frozen", all rest; "update", none does;
        # "recalibrate", as "auto", and before each evaluation all are computed
        # anew from training batches.
        "batch_norm": "auto",
        "recalibrate_batches": 32,  # "recalibrate": so many, from the first.
      },
      "adapter": {
        # Trained beside the model, which is frozen but for its head: "lora";
        # "rslora", rank-stabilised; "dora", with the kernels' lengths; "pissa",
        # from the kernels' principal parts; "ia3", vectors that scale;
        # "houlsby" and "parallel", narrow MLPs behind and beside the branches;
        # "prefix", keys and values, and "prompt", words, before a text; "vpt",
        # tokens between those of an image (empty: none).
        "name": "",
        "rank": 8,  # Of each product; more is more capacity.
        "alpha": 16.0,  # Its factor is alpha / rank (rslora: / sqrt(rank)).
        "dropout": 0.0,  # Of the side paths' inputs.
        # Beside what: "attention", "dense" (every dense layer but the head),
        # "all" (convolutions too); or empty, and `rules` say it.
        "targets": "dense",
        # Ordered ((regex, rank), ...) or (regex, rank, alpha) over parameter
        # names; rank 0 is none, as is what no rule covers.
        "rules": (),
        # The second halves' share of `optim.lr` (LoRA+ takes about 16).
        "lora_plus_ratio": 1.0,
        "width": 64,  # "houlsby" and "parallel": of the narrow MLP.
        "scale": 4.0,  # "parallel": factor on what it adds.
        "tokens": 20,  # "prefix", "prompt" and "vpt": how many are learned.
        # "prefix": width of the MLP that makes them (0: none).
        "projection": 0,
        # "prompt": begin as "words" of the vocabulary, or "random".
        "start": "words",
        "deep": True,  # "vpt": every block has its own, or the first alone.
      },
      "optim": {
        # "adamw", "adam", "sgd", "lamb", "lars", "lion", "adafactor", "muon",
        # "prodigy" (lr=1.0) or "schedule_free" (a constant rate).
        "name": "adamw",
        "lr": 1e-3,  # Peak learning rate of the head and of an adapter.
        # The pretrained weights' share of `lr`.
        "backbone_lr_scale": 1.0,
        # Layer-wise decay: each block's share of the rate of the one above it,
        # such as 0.75; embeddings and stem lie below the first block.
        "layer_decay": 1.0,
        # Discriminative rates: ordered ((regex, share), ...) over the names of
        # trained parameters, on top of the above (empty: 1 for all).
        "lr_rules": (),
        # Factor on all rates in each phase (empty: 1). A new head alone, after
        # `tune.head_first` or "lp_ft", learns little at the rate of pretrained
        # weights: (100.0, 1.0).
        "phase_lr_scales": (),
        # "constant", "linear", "cosine", "polynomial" or "step".
        "schedule": "cosine",
        "warmup_steps": 0,  # A linear rise from 0 to the peak.
        # Where the schedule ends, as a share of the peak.
        "final_lr": 0.0,
        # "step" only: drops by 10 at these shares of the run.
        "step_boundaries": (0.6, 0.85),
        # "polynomial" only.
        "power": 2.0,
        # Decoupled; see `decay_rules`.
        "weight_decay": 0.0,
        # Which leaves decay: ordered ((regex, True or False), ...) (empty: all
        # but biases and normalisation scales).
        "decay_rules": (),
        # The optimizer's numbers (-1: as published):
        "momentum": -1.0,  # of "sgd" (Nesterov's), "lars" and "muon",
        "b1": -1.0,  # Adam's (and Lion's) decay of the first moment,
        "b2": -1.0,  # and of the second,
        "eps": -1.0,  # and the addition to the denominator.
        # Of the (first) moments: "bfloat16" halves them (empty: as the leaves).
        "moments_dtype": "",
        # Largest global norm of the trained leaves' gradient (0: no clipping).
        "clip_norm": 0.0,
        "clip_value": 0.0,  # Largest value of the gradient (0: no clipping).
        # Largest norm of a unit's gradient as a share of its weights', such as
        # 0.01; not of the head (0: no clipping).
        "clip_adaptive": 0.0,
        # Sharpness-aware: take the gradient at the worst place so far away,
        # such as 0.05, at twice the compute (0: off).
        "sam_rho": 0.0,
      },
      "regularise": {
        # On the trained weights, biases and normalisation scales left out:
        "l1": 0.0,  # times the sum of their sizes.
        "l2": 0.0,  # times half the sum of their squares; not decoupled.
        # L2-SP: times half the squared distance from the weights at the start.
        "l2_sp": 0.0,
        "l2_sp_head": 0.0,  # With it, of the head: from 0.
        # Which leaves of the penalties: ordered ((regex, True or False), ...)
        # (empty: as said above; for "l2_sp" all).
        "rules": (),
      },
      "average": {
        # What is evaluated, kept as best and exported: "", the weights; "ema",
        # their moving average; "swa", their mean from `start` on.
        "name": "",
        "decay": 0.999,  # "ema": the share that an update keeps.
        # "ema": begin with less, min(decay, (1 + t) / (10 + t)) at update t.
        "warmup": True,
        "start": 0.75,  # "swa": from this share of the run on.
        "every_steps": 1,  # "swa": take every so many-th update.
      },
      "train": {
        # How long: epochs or steps, exactly one of the two.
        "epochs": 0.0,
        # See "epochs".
        "steps": 0,
        "batch_size": 32,  # Global, over all devices.
        # Parts a batch is computed in, to save memory.
        "accumulate": 1,
        "parallel": "pmap",  # "pmap" or "jit".
        # What a new run's quick check of data and model does with an error:
        # "refuse", "warn", or "off" for no check (see `jft check`).
        "preflight": "refuse",
        # Devices to use (0: all).
        "devices": 0,
      },
      "generate": {
        # What `jft predict` writes after a prompt, in tokens at most.
        "max_new_tokens": 128,
        # 0 takes the likeliest token; above it one is drawn, the more freely
        # the higher.
        "temperature": 0.0,
        "top_k": 0,  # Draw among the likeliest so many (0: all).
        "top_p": 1.0,  # Draw among the likeliest of this joint probability.
        "stop": (),  # Tokens that end a text, beside the end token.
      },
      "eval": {
        # How often: epochs or steps, one of the two (both 0: once an epoch).
        "every_epochs": 0.0,
        # See "every_epochs".
        "every_steps": 0,
        "batch_size": 256,  # Global; any size gives the same metrics.
        # Before the first update too: what the model knows already.
        "at_start": False,
      },
      "stop": {
        # The metric that decides what is best: of classes "val/accuracy" or
        # "val/loss"; of numbers "val/spearman", "val/pearson", "val/mse",
        # "val/mae" or "val/loss"; of tags "val/f1", "val/precision",
        # "val/recall", "val/token_accuracy" or "val/loss"; of documents
        # "val/perplexity", "val/token_accuracy" or "val/loss"; of any number of
        # classes
        # "val/micro_f1", "val/macro_f1", "val/map", "val/exact_match" or
        # "val/loss"; of ordered ones "val/kappa", "val/accuracy", "val/mae" or
        # "val/loss"; of texts that belong together "val/recall_at_1",
        # "val/recall_at_10", "val/mrr" or "val/loss".
        "metric": "val/accuracy",
        "mode": "max",  # "max" or "min".
        # Stop after so many evaluations without a better value (0: never).
        "patience": 0,
      },
      "guard": {
        # Roll back where the loss is not finite, or spikes five times in a row?
        "enabled": True,
        "threshold": 20.0,  # Robust z-score of a spike.
        "lr_cut": 0.5,  # Factor on the learning rate at each roll-back.
        "max_retries": 3,  # More roll-backs than this: the run fails.
      },
      "checkpoint": {
        "keep_last": 2,  # The newest so many; two survive a damaged one.
        "keep_best": 1,  # The best so many, by `stop.metric`.
      },
      "log": {
        "every_steps": 10,  # How often training metrics are written.
        "tensorboard": True,  # Event files beside metrics.jsonl.
      },
    }
  )
