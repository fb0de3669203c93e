"""All randomness of a run, from (seed, epoch, purpose), so that no random state needs saving."""

import hashlib

import torch


def generator(seed: int, epoch: int, purpose: str, device: str = "cpu") -> torch.Generator:
    """Return a fresh generator whose draws depend on nothing but the arguments."""
    return torch.Generator(device).manual_seed(number(seed, epoch, purpose))


def number(seed: int, epoch: int, purpose: str) -> int:
    """Return a seed of 63 bits that stands for the arguments."""
    digest = hashlib.sha256(f"{seed}/{epoch}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
