"""What people who come from other libraries type, and what genzoo calls it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

# Written with "_", in lower case. The first name that the place knows is suggested.
SYNONYMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        # keys of a recipe
        "learning_rate": ("lr",),
        "rate": ("lr",),
        "base_lr": ("lr",),
        "max_lr": ("lr",),
        "lr_g": ("lr.generator",),
        "lr_d": ("lr.discriminator",),
        "g_lr": ("lr.generator",),
        "d_lr": ("lr.discriminator",),
        "batch": ("batch_size",),
        "bs": ("batch_size",),
        "train_batch_size": ("batch_size",),
        "cooldown": ("lr_decay",),
        "decay": ("lr_decay",),
        "lr_scheduler": ("schedule",),
        "lr_schedule": ("schedule",),
        "lr_scheduler_type": ("schedule",),
        "scheduler": ("schedule",),
        "sched": ("schedule",),
        "warmup": ("lr_warmup",),
        "warmup_steps": ("lr_warmup",),
        "num_warmup_steps": ("lr_warmup",),
        "wd": ("weight_decay",),
        "l2": ("weight_decay",),
        "grad_clip": ("max_grad_norm",),
        "grad_norm": ("max_grad_norm",),
        "clip_grad": ("max_grad_norm",),
        "clip_grad_norm": ("max_grad_norm",),
        "clip_norm": ("max_grad_norm",),
        "gradient_clip_val": ("max_grad_norm",),
        "gradient_clipping": ("max_grad_norm",),
        "penalty": ("gp_weight",),
        "gradient_penalty": ("gp_weight",),
        "lambda_gp": ("gp_weight",),
        "gp_lambda": ("gp_weight",),
        "clip": ("weight_clip",),
        "clip_value": ("weight_clip",),
        "n_critic": ("turns.discriminator",),
        "critic_iters": ("turns.discriminator",),
        "critic_iterations": ("turns.discriminator",),
        "d_steps": ("turns.discriminator",),
        "g_steps": ("turns.generator",),
        "held_out": ("val_split",),
        "validation_split": ("val_split",),
        "test_split": ("val_split",),
        "storage": ("save_dtype",),
        "dtype": ("precision", "save_dtype"),
        "amp": ("precision",),
        "fp16": ("precision",),
        "mixed_precision": ("precision",),
        "epochs": ("steps",),
        "n_epochs": ("steps",),
        "num_epochs": ("steps",),
        "max_epochs": ("steps",),
        "iterations": ("steps",),
        "niter": ("steps",),
        "max_steps": ("steps",),
        "num_steps": ("steps",),
        "beta1": ("betas",),
        "beta2": ("betas",),
        "b1": ("betas",),
        "b2": ("betas",),
        "optim": ("optimizer",),
        "optimiser": ("optimizer",),
        "ema_decay": ("ema",),
        "ema_rate": ("ema",),
        "label_smoothing": ("soft_labels",),
        "loss": ("objective",),
        "gan_mode": ("objective",),
        "diffaugment": ("augment",),
        "policy": ("augment",),
        "augmentation": ("augment",),
        "hflip": ("flip",),
        "mirror": ("flip",),
        "random_seed": ("seed",),
        "manual_seed": ("seed",),
        "license": ("licence",),
        # keys of a config
        "nz": ("latent_size",),
        "z_dim": ("latent_size",),
        "latent_dim": ("latent_size",),
        "ngf": ("width",),
        "ndf": ("discriminator_width",),
        "nc": ("channels",),
        "in_channels": ("channels",),
        "img_size": ("image_size",),
        "size": ("image_size",),
        "resolution": ("image_size",),
        # options
        "tensorboard": ("track",),
        "report_to": ("track",),
        "log_with": ("track",),
        "logger": ("track",),
        "wandb": ("track",),
        # commands
        "generate": ("sample",),
        "samples": ("sample",),
        "download": ("pull",),
        "fetch": ("pull",),
        "get": ("pull",),
        "upload": ("push",),
        "publish": ("push",),
        "evaluate": ("eval",),
        "score": ("eval",),
        "test": ("eval",),
        "fit": ("train",),
        "ls": ("list",),
        "models": ("list",),
        "show": ("info",),
        "card": ("info",),
        "describe": ("info",),
        "check": ("verify",),
        "inpaint": ("complete",),
        "encode": ("features",),
        "embed": ("features",),
        "nearest": ("neighbours",),
        "neighbors": ("neighbours",),
    }
)


def meant(word: str, known: Collection[str]) -> str:
    """Return what of `known` is meant by `word` in other libraries, or an empty string.

    Keys of a player match the pattern that stands for them: "lr.generator" is known where "lr.PLAYER" is.
    """
    for name in SYNONYMS.get(word.strip().lstrip("-").casefold().replace("-", "_"), ()):
        table, dot, _ = name.partition(".")
        if name in known or (dot and f"{table}.PLAYER" in known):
            return name
    return ""
