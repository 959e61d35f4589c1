#!/usr/bin/env python3
# Makes this folder's goldens out of the full set: select.py FULL_GOLDEN_DIR MODELS_DIR
# Whole files are copied; of io files only the tensors that the tests compare are kept.
import collections, json, os, pickle, re, shutil, struct, sys, zipfile

def read(path):
    data = open(path, "rb").read()
    n = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + n])
    header.pop("__metadata__", None)
    return {k: (v["dtype"], v["shape"], data[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]])
            for k, v in header.items()}

def write(path, tensors):
    header, at = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for _, _, data in tensors.values():
            f.write(data)

def subset(src, dst, pattern):
    write(dst, {k: v for k, v in read(src).items() if re.fullmatch(pattern, k)})

def as_int16(dst, name):
    """A wave of 16-bit numbers, kept as such: times 32768, exactly."""
    tensors = read(dst)
    dtype, shape, data = tensors[name]
    x = [v * 32768 for v in struct.unpack("<%df" % (len(data) // 4), data)]
    assert dtype == "F32" and all(v == int(v) for v in x)
    tensors[name] = ("I16", shape, struct.pack("<%dh" % len(x), *map(int, x)))
    write(dst, tensors)

def speaker_network(offline):
    for case in ("fbank", "resnet34_tiny", "get_embeddings"):
        os.makedirs(case, exist_ok=True)
    subset(os.path.join(offline, "fbank", "io.safetensors"), "fbank/io.safetensors",
           r"in\..*|out\..*\.fbank|mel|window")
    as_int16("fbank/io.safetensors", "in.speech.wave")
    shutil.copyfile(os.path.join(offline, "resnet34_tiny", "pytorch_model.bin"),
                    "resnet34_tiny/pytorch_model.bin")
    subset(os.path.join(offline, "resnet34_tiny", "io.safetensors"), "resnet34_tiny/io.safetensors",
           r"in\..*|nearest\..*|out\.(w|w3|wave)\..*|out\.37\..*|out\.\d+\.(stats|embedding|layer4)")
    as_int16("resnet34_tiny/io.safetensors", "in.wave")
    subset(os.path.join(offline, "get_embeddings", "io.safetensors"),
           "get_embeddings/io.safetensors", r"(in|out)\..*")
    as_int16("get_embeddings/io.safetensors", "in.wave")

def read_bin(path):
    """A torch.save zip of contiguous tensors, like read()."""
    zipped = zipfile.ZipFile(path)
    root = zipped.namelist()[0].split("/")[0]
    kinds = {"FloatStorage": "F32", "LongStorage": "I64"}

    class Reader(pickle.Unpickler):
        def find_class(self, module, name):
            if name == "OrderedDict":
                return collections.OrderedDict
            if name == "_rebuild_tensor_v2":
                return lambda storage, offset, size, *rest: (storage, offset, size)
            return name
        def persistent_load(self, key):
            return kinds[key[1]], zipped.read("%s/data/%s" % (root, key[2]))

    out = {}
    for name, ((dtype, data), offset, size) in Reader(zipped.open(root + "/data.pkl")).load().items():
        each, n = 4 if dtype == "F32" else 8, 1
        for s in size:
            n *= s
        out[name] = (dtype, list(size), data[offset * each:(offset + n) * each])
    return out

def main(full, models):
    wavlm = r"in\.wave|out\.(features|feature_projection|pos_conv|rep\.\d+)"
    for case in ("group_norm", "layer_norm", "pruned", "pruned_large", "noattn0", "headdim64",
                 "oddkernel_bias"):
        case = "wavlm_%s_tiny" % case
        os.makedirs(case, exist_ok=True)
        files = ["model.safetensors", "model.config.json"]
        files += ["model.pt"] if case.split("_")[1] in ("group", "pruned", "noattn0", "oddkernel") \
            and "large" not in case else []
        files += [f for f in os.listdir(os.path.join(full, case)) if f.startswith("block_") and "b16" not in f]
        for f in files:
            shutil.copyfile(os.path.join(full, case, f), os.path.join(case, f))
        for f in ("io.safetensors", "io_odd.safetensors"):
            subset(os.path.join(full, case, f), os.path.join(case, f), wavlm)
    for case in ("diarizen_tiny", "diarizen_pruned_posi_tiny"):
        os.makedirs(case, exist_ok=True)
        files = ["model.safetensors", "wavlm.config.json", "model.args.json"]
        files += ["pytorch_model.bin"] if case == "diarizen_tiny" else []
        files += [f for f in os.listdir(os.path.join(full, case)) if f.startswith("block_") and "b16" not in f]
        for f in files:
            shutil.copyfile(os.path.join(full, case, f), os.path.join(case, f))
        subset(os.path.join(full, case, "io.safetensors"), os.path.join(case, "io.safetensors"),
               r"in\.wave|out\.(weight_sum|lnorm|block\.\d|logits|logprobs|multilabel)")
    for case in ("diarizen_tiny", "diarizen_pruned_posi_tiny"):
        shutil.copyfile(os.path.join(full, case, "pit_grads.safetensors"),
                        os.path.join(case, "pit_grads.safetensors"))
        subset(os.path.join(full, case, "pit_io.safetensors"), os.path.join(case, "pit_io.safetensors"),
               r"in\..*|out\.(logprobs_train|loss|target_class|permutated_target|grad_logprobs)|after\..*running.*")
    for case in ("wavlm_group_norm_tiny", "wavlm_layer_norm_tiny"):
        shutil.copyfile(os.path.join(full, case, "distill_grads.safetensors"),
                        os.path.join(case, "distill_grads.safetensors"))
        subset(os.path.join(full, case, "distill_io.safetensors"),
               os.path.join(case, "distill_io.safetensors"), r"in\.wave|out\.(teacher_hiddens|loss.*)")
    os.makedirs("hard_concrete", exist_ok=True)
    shutil.copyfile(os.path.join(full, "hard_concrete", "hard_concrete.safetensors"),
                    os.path.join("hard_concrete", "hard_concrete.safetensors"))
    for case in ("train_step_base_tiny", "train_step_large_tiny"):
        os.makedirs(case, exist_ok=True)
        for f in ("expected_size.safetensors", "student.config.json", "meta.json", "student.safetensors",
                  "step_inputs.safetensors"):
            shutil.copyfile(os.path.join(full, case, f), os.path.join(case, f))
        some = r".*(log_alpha|lambda\d|layers\.[03]\.(?!feed).*|conv_layers\.[06]\..*|feature_projection.*)"
        for f in ("step1_grads", "params_after_step1", "params_after_step3"):
            subset(os.path.join(full, case, f + ".safetensors"), os.path.join(case, f + ".safetensors"), some)
    for case in ("prune_base_tiny", "prune_large_tiny", "prune_dead_base_tiny", "prune_layers_base_tiny"):
        os.makedirs(case, exist_ok=True)
        for f in ("student.config.json", "student.pt", "pruned.config.json"):
            shutil.copyfile(os.path.join(full, case, f), os.path.join(case, f))
        subset(os.path.join(full, case, "io.safetensors"), os.path.join(case, "io.safetensors"),
               r"in\.wave|(pruned|masked)\.rep\.4|mask\..*")
    os.makedirs("average", exist_ok=True)
    some = r"(classifier|weight_sum|conformer\.conformer_layer\.0\.(ffn1\.w_1|conv\.bn_norm)|" \
        r"wavlm_model\.encoder\.transformer\.layers\.1\.attention\.(k_proj|gru_rel_pos_const)).*"
    for epoch in ("epoch_0001", "epoch_0002", "epoch_0003"):
        tensors = read_bin(os.path.join(full, "average", epoch, "pytorch_model.bin"))
        write(os.path.join("average", epoch + ".safetensors"),
              {k: v for k, v in tensors.items() if re.fullmatch(some, k)})
    subset(os.path.join(full, "average", "averaged.safetensors"),
           os.path.join("average", "averaged.safetensors"), some)
    shutil.copyfile(os.path.join(full, "average", "val_metric_summary_prune.lst"),
                    os.path.join("average", "val_metric_summary_prune.lst"))
    os.makedirs("powerset_pit", exist_ok=True)
    shutil.copyfile(os.path.join(full, "powerset_pit", "powerset_pit.safetensors"),
                    os.path.join("powerset_pit", "powerset_pit.safetensors"))
    os.makedirs("rel_pos_buckets", exist_ok=True)
    shutil.copyfile(os.path.join(full, "rel_pos_buckets", "buckets.safetensors"),
                    os.path.join("rel_pos_buckets", "buckets.safetensors"))
    shutil.copytree(os.path.join(full, "pickle"), "pickle", dirs_exist_ok=True)
    speaker_network(os.path.join(full, "offline"))
    for case, files in (("hf-wavlm-base-tiny", ["config.json", "pytorch_model.bin"]),
                        ("hf-wavlm-large-tiny", ["config.json", "model.safetensors"])):
        os.makedirs(os.path.join(case, case), exist_ok=True)
        for f in files:
            shutil.copyfile(os.path.join(full, case, case, f), os.path.join(case, case, f))
        for f in ["converted.config.json"] + (["converted.safetensors"] if "base" in case else ["name_mapping.json"]):
            shutil.copyfile(os.path.join(full, case, f), os.path.join(case, f))
        subset(os.path.join(full, case, "io.safetensors"), os.path.join(case, "io.safetensors"),
               r"in\.wave|out\.rep\.\d+")
    shutil.copyfile(os.path.join(full, "diarizen_tiny", "config.toml"), os.path.join("diarizen_tiny", "config.toml"))
    os.makedirs("nano", exist_ok=True)
    subset(os.path.join(models, "samples.safetensors"), os.path.join("nano", "samples.safetensors"),
           r".*\.(wav|logp)|ami_EN2002a_7s\.B16\.sum")

def offline(full):
    small = r"out\.(train_chunk_idx|train_speaker_idx|count|linkage|fcluster|ahc_clusters|train_clusters" \
            r"|Phi|gamma|pi|elbo|invL|constrained_argmax|hard_clusters|hard_clusters_final|soft_clusters|binary)"
    for scene in ("scene_a", "scene_edge"): # scene_b and scene_c: see the README
        src, dst = os.path.join(full, "offline", scene), os.path.join("offline", scene)
        shutil.copytree(os.path.join(src, "plda"), os.path.join(dst, "plda"), dirs_exist_ok=True)
        subset(os.path.join(src, "inputs.safetensors"), os.path.join(dst, "inputs.safetensors"),
               r"in\..*|out\.median|out\.clean_frames")
        for f in sorted(os.listdir(src)):
            if not f.endswith(".json"):
                continue
            for e in (".json", ".rttm"):
                shutil.copyfile(os.path.join(src, f[:-5] + e), os.path.join(dst, f[:-5] + e))
            whole = scene == "scene_edge" or f in ("vbx.json", "ahc_max2.json") and scene == "scene_a"
            subset(os.path.join(src, f[:-5] + ".safetensors"), os.path.join(dst, f[:-5] + ".safetensors"),
                   small[:-1] + r"|activations|fea_gram|centroids)" if whole else small)
    for case, pattern in (("aggregate", r"(in|out)\.[abc]\..*|(in|out)\.median(_short)?|start_frames.*"),
                          ("binarize", r".*")):
        src, dst = os.path.join(full, "offline", case), os.path.join("offline", case)
        os.makedirs(dst, exist_ok=True)
        for f in os.listdir(src):
            if not f.endswith(".safetensors"):
                shutil.copyfile(os.path.join(src, f), os.path.join(dst, f))
        subset(os.path.join(src, "io.safetensors"), os.path.join(dst, "io.safetensors"), pattern)

if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
    offline(sys.argv[1])
