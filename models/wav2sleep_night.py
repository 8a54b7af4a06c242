from __future__ import annotations
import torch
from models.layers import presence
from models.wav2sleep import known_channels


def night_logits(model, signals, present):
    known = known_channels(model.config, signals)
    dev = model.classifier.weight.device
    batch = {k: torch.as_tensor(signals[k]).to(dev, torch.float32)[None] for k in known}
    there = {k: torch.as_tensor(v).to(dev)[None] for k, v in present.items()}
    return model(batch, there).logits[0]
