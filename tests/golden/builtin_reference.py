#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""builtin_reference.py MODEL OUT WAVE... - what the built-in model says, by a second program.

A plain float64 run, written from MODEL.md and not from the C: filter banks, a pre-norm
encoder without positional convolution, the conformer readout; block by block, every
frame computed anew from everything it may see. Needs numpy. WAVE is NAME=FILE of mono
16-bit WAV at 16 kHz. Writes NAME.wav, and NAME.CASE.logp for the cases below.
"""
import json
import struct
import sys
import wave

import numpy as np

CASES = {"offline": (0, 0), "B8": (8, 400), "B16": (16, 400), "B50": (50, 400), "B8_L50": (8, 50)}
HORIZON = 3000  # frames of 20 ms: a minute


def read_safetensors(path):
    data = open(path, "rb").read()
    n = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + n])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + n + x for x in entry["data_offsets"])
        raw = data[begin:end]
        if entry["dtype"] == "BF16":
            array = (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")
        else:
            array = np.frombuffer(raw, {"F32": "<f4", "F64": "<f8", "F16": "<f2", "I64": "<i8"}[entry["dtype"]])
        tensors[name] = array.reshape(entry["shape"]).astype(np.float64)
    return tensors, json.loads(header["__metadata__"]["config"])


def write_safetensors(path, tensors):
    header, blobs, at = {}, [], 0
    for name, array in tensors.items():
        blob = array.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(array.shape),
                        "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def mel_matrix(fft, bins):
    """Triangles of equal width on the mel scale, 20 to 7600 Hz."""
    mel = lambda hz: 1127.0 * np.log(1.0 + hz / 700.0)
    edges = np.linspace(mel(20.0), mel(7600.0), bins + 2)
    at = mel(np.arange(fft // 2) * 16000.0 / fft)
    up = (at - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - at) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0.0, np.minimum(up, down))


def bank(x, fft, bins):
    """Log mel energies of rows of samples."""
    x = x - x.mean(1, keepdims=True)
    x = x - 0.97 * np.concatenate([x[:, :1], x[:, :-1]], 1)
    n = x.shape[1]
    x = x * (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(n) / (n - 1)))
    power = np.abs(np.fft.rfft(x, fft))[:, :fft // 2] ** 2
    return np.log(np.maximum(power @ mel_matrix(fft, bins).T, 1e-7))


def layer_norm(x, w, name):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * w[name + ".weight"] + \
        w[name + ".bias"]


def linear(x, w, name):
    return x @ w[name + ".weight"].T + w[name + ".bias"]


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def gelu(x):
    from math import erf
    return 0.5 * x * (1.0 + np.vectorize(erf)(x / np.sqrt(2.0)))


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def buckets(distance, n_buckets, most):
    half = n_buckets // 2
    exact = half // 2
    d = np.abs(distance)
    far = np.log(np.maximum(d, 1) / exact) / np.log(most / exact) * (half - exact)
    far = np.minimum(half - 1, exact + np.trunc(far).astype(int))
    return np.where(distance > 0, half, 0) + np.where(d < exact, d, far)


class Reference:
    def __init__(self, tensors, config):
        self.w = {k.removeprefix("wavlm_model."): v for k, v in tensors.items()}
        self.c, self.r = config["wavlm"], config["readout"]

    def normalise(self, features, blocks):
        """Mean and deviation of all that the blocks so far cover."""
        out = np.empty_like(features)
        count, mean, m2 = 0.0, 0.0, 0.0
        for begin, end in blocks:
            x = features[begin:end]
            n, delta = end - begin, x.mean(0) - mean
            mean = mean + delta * n / (count + n)
            m2 = m2 + x.var(0) * n + delta * delta * count * n / (count + n)
            count += n
            if count > HORIZON and len(blocks) > 1:
                m2, count = m2 * HORIZON / count, HORIZON
            out[begin:end] = (x - mean) / np.sqrt(m2 / count + 0.25)
        return out

    def attention(self, x, i, first, begin):
        """Rows begin.. of x, whose first row is frame `first`, over all rows of x."""
        w, c = self.w, self.c
        p = "encoder.transformer.layers.%d.attention." % i
        total, kept = c["encoder_total_num_heads"][i], c["encoder_remaining_heads"][i]
        D = c["encoder_embed_dim"] // total
        q = linear(x[begin:], w, p + "q_proj").reshape(len(x) - begin, len(kept), D)
        k = linear(x, w, p + "k_proj").reshape(len(x), len(kept), D)
        v = linear(x, w, p + "v_proj").reshape(len(x), len(kept), D)
        embed = w.get("encoder.transformer.layers.0.attention.rel_attn_embed.weight")
        rows = np.arange(begin, len(x))
        bucket = buckets(np.arange(len(x))[None, :] - rows[:, None], c["encoder_num_buckets"],
                         c["encoder_max_distance"])
        s = linear(x[begin:].reshape(len(rows), total, D), w, p + "gru_rel_pos_linear")
        a, b = sigmoid(s[..., :4].sum(-1)), sigmoid(s[..., 4:].sum(-1))
        gate = a * (b * w[p + "gru_rel_pos_const"].reshape(total) - 1.0) + 2.0
        out = np.empty((len(rows), len(kept), D))
        for n, head in enumerate(kept):
            score = q[:, n] @ k[:, n].T / np.sqrt(D)
            if embed is not None:
                score = score + gate[:, head, None] * embed[bucket, head]
            out[:, n] = softmax(score) @ v[:, n]
        return linear(out.reshape(len(rows), -1), w, p + "out_proj")

    def over_blocks(self, f, x, blocks, left):
        """f(rows, where the block begins among them) for every block."""
        out = np.empty((len(x),) + f(x[:1], 0).shape[1:])
        for begin, end in blocks:
            first = max(0, begin - left)
            out[begin:end] = f(x[first:end], begin - first)
        return out

    def encoder(self, x, blocks, left):
        w, c, sums = self.w, self.c, self.w["weight_sum.weight"].reshape(-1)
        total = sums[0] * x
        for i in range(self.r["wavlm_layer_num"] - 1):
            p = "encoder.transformer.layers.%d." % i
            if c["encoder_use_attention"][i]:
                x = x + self.over_blocks(lambda rows, begin: self.attention(rows, i, 0, begin),
                                         layer_norm(x, w, p + "layer_norm"), blocks, left)
            if c["encoder_use_feed_forward"][i]:
                h = layer_norm(x, w, p + "final_layer_norm")
                h = gelu(linear(h, w, p + "feed_forward.intermediate_dense"))
                x = x + linear(h, w, p + "feed_forward.output_dense")
            total = total + sums[i + 1] * x
        return total

    def feed_forward(self, x, p):
        h = linear(layer_norm(x, self.w, p + ".ln_norm"), self.w, p + ".w_1")
        return linear(h * sigmoid(h), self.w, p + ".w_2")

    def self_attention(self, x, p, begin):
        H = self.r["num_head"]
        shape = lambda name, rows: linear(rows, self.w, p + name).reshape(len(rows), H, -1)
        q, k, v = shape("linearQ", x[begin:]), shape("linearK", x), shape("linearV", x)
        score = np.einsum("thd,jhd->htj", q, k) / np.sqrt(q.shape[-1])
        out = np.einsum("htj,jhd->thd", softmax(score), v)
        return linear(out.reshape(len(q), -1), self.w, p + "linearO")

    def depthwise(self, x, p, blocks):
        taps, bias = self.w[p + ".weight"][:, 0], self.w[p + ".bias"]
        K = taps.shape[1]
        out = np.empty_like(x)
        for begin, end in blocks:
            rows = np.concatenate([np.zeros((K // 2, x.shape[1])), x[:end],
                                   np.zeros((K // 2, x.shape[1]))])
            for t in range(begin, end):
                out[t] = (rows[t:t + K].T * taps).sum(1) + bias
        return out

    def conformer(self, x, i, blocks, left):
        w, p = self.w, "conformer.conformer_layer.%d" % i
        x = x + 0.5 * self.feed_forward(x, p + ".ffn1")
        x = x + self.over_blocks(lambda r, begin: self.self_attention(r, p + ".mha.mha.", begin),
                                 layer_norm(x, w, p + ".mha.ln_norm"), blocks, left)
        h = layer_norm(x, w, p + ".conv.ln_norm")
        h = h @ w[p + ".conv.pointwise_conv1.weight"][:, :, 0].T + \
            w[p + ".conv.pointwise_conv1.bias"]
        R = h.shape[1] // 2
        h = self.depthwise(h[:, :R] * sigmoid(h[:, R:]), p + ".conv.depthwise_conv", blocks)
        n = p + ".conv.bn_norm."
        h = (h - w[n + "running_mean"]) / np.sqrt(w[n + "running_var"] + 1e-5) * w[n + "weight"] + \
            w[n + "bias"]
        h = h * sigmoid(h)
        x = x + h @ w[p + ".conv.pointwise_conv2.weight"][:, :, 0].T + \
            w[p + ".conv.pointwise_conv2.bias"]
        x = x + 0.5 * self.feed_forward(x, p + ".ffn2")
        return layer_norm(x, w, p + ".ln_norm")

    def scores(self, samples, block, left):
        w, c = self.w, self.c
        n = (len(samples) - 400) // 320 + 1
        frames = np.stack([samples[320 * t:320 * t + 400] for t in range(n)])
        features = bank(frames, 512, c["fbank_bins"])
        if c.get("fbank_half_bins"):
            features = np.concatenate([features, bank(frames[:, :200], 256, c["fbank_half_bins"]),
                                       bank(frames[:, 200:], 256, c["fbank_half_bins"])], 1)
        block, left = block or n, left or n
        blocks = [(b, min(b + block, n)) for b in range(0, n, block)]
        x = self.normalise(features, blocks)
        p = "encoder.feature_projection."
        x = x * w[p + "layer_norm.weight"] + w[p + "layer_norm.bias"]
        x = self.encoder(linear(x, w, p + "projection"), blocks, left)
        x = layer_norm(linear(x, w, "proj"), w, "lnorm")
        for i in range(self.r["num_layer"]):
            x = self.conformer(x, i, blocks, left)
        x = linear(x, w, "classifier")
        x = x - x.max(1, keepdims=True)
        return x - np.log(np.exp(x).sum(1, keepdims=True))


def main():
    reference, out = Reference(*read_safetensors(sys.argv[1])), {}
    for argument in sys.argv[3:]:
        name, path = argument.split("=", 1)
        with wave.open(path) as f:
            samples = np.frombuffer(f.readframes(f.getnframes()), "<i2") / 32768.0
        out[name + ".wav"] = samples
        for case, (block, left) in CASES.items():
            out["%s.%s.logp" % (name, case)] = reference.scores(samples, block, left)
    write_safetensors(sys.argv[2], out)


main()
