#!/usr/bin/env python3
# Makes this folder's goldens out of the full set: select.py FULL_GOLDEN_DIR
# Nothing is kept twice: weights are there as torch's file or as safetensors, of the other
# form only the sums; of io files the tensors and rows that the tests compare.
import sys
sys.path = [p for p in sys.path if p != sys.path[0]] # Python has a module of this name
import collections, json, os, pickle, re, shutil, struct, subprocess, zipfile

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

def first_row(path, pattern):
    """Of these tensors the first of their rows alone."""
    tensors = read(path)
    for name, (dtype, shape, data) in tensors.items():
        if re.fullmatch(pattern, name):
            tensors[name] = (dtype, [1] + shape[1:], data[:len(data) // shape[0]])
    write(path, tensors)

def sums(src, dst):
    """Name, type, shape and FNV-1a of every tensor's bytes."""
    with open(dst, "w") as f:
        for name, (dtype, shape, data) in sorted(read(src).items()):
            h = 0xcbf29ce484222325
            for byte in data:
                h = (h ^ byte) * 0x100000001b3 & (1 << 64) - 1
            f.write("%s %s [%s] %016x\n" % (name, dtype, ",".join(map(str, shape)), h))

def narrow(tensors, pattern=".*", kind="I16", code="h"):
    """Integers as I16 (or I32), which holds them."""
    for name, (dtype, shape, data) in tensors.items():
        if dtype == "I64" and re.fullmatch(pattern, name):
            x = struct.unpack("<%dq" % (len(data) // 8), data)
            tensors[name] = (kind, shape, struct.pack("<%d%s" % (len(x), code), *x))
    return tensors

def sets(tensors, pattern):
    """Who speaks in each frame, [.., 4] of 0 and 1, as the bits of one byte."""
    for name, (dtype, shape, data) in tensors.items():
        if re.fullmatch(pattern, name):
            assert dtype == "U8" and shape[-1] == 4 and max(data) <= 1
            packed = [data[i] | data[i + 1] << 1 | data[i + 2] << 2 | data[i + 3] << 3
                      for i in range(0, len(data), 4)]
            tensors[name] = (dtype, shape[:-1], bytes(packed))
    return tensors

def as_flac(path, name, flac):
    """A wave of 16-bit numbers as a file of sound, exactly; its rows follow one another."""
    tensors = read(path)
    dtype, shape, data = tensors.pop(name)
    x = [v * 32768 for v in struct.unpack("<%df" % (len(data) // 4), data)]
    assert dtype == "F32" and all(v == int(v) for v in x)
    raw = ["-t", "raw", "-r", "16000", "-e", "signed", "-b", "16", "-c", "1", "-L"]
    samples = struct.pack("<%dh" % len(x), *map(int, x))
    subprocess.run(["sox", "-D"] + raw + ["-", "-C", "8", flac], input=samples, check=True)
    back = subprocess.run(["sox", "-D", flac] + raw + ["-"], stdout=subprocess.PIPE, check=True)
    assert back.stdout == samples
    write(path, tensors)

def speaker_network(offline):
    for case in ("fbank", "resnet34_tiny", "get_embeddings"):
        os.makedirs(case, exist_ok=True)
    subset(os.path.join(offline, "fbank", "io.safetensors"), "fbank/io.safetensors",
           r"in\.(?!speech).*|out\..*\.fbank|mel|window") # the speech is resnet34_tiny's
    shutil.copyfile(os.path.join(offline, "resnet34_tiny", "pytorch_model.bin"),
                    "resnet34_tiny/pytorch_model.bin")
    subset(os.path.join(offline, "resnet34_tiny", "io.safetensors"), "resnet34_tiny/io.safetensors",
           r"in\..*|nearest\..*|out\.(w|w3|wave)\..*|out\.37\.(?!conv1|layer1).*|out\.\d+\.(stats|embedding)"
           r"|out\.(1|2|8|98)\.layer4")
    write("resnet34_tiny/io.safetensors", narrow(read("resnet34_tiny/io.safetensors"), r"nearest.*"))
    as_flac("resnet34_tiny/io.safetensors", "in.wave", "resnet34_tiny/wave.flac")
    subset(os.path.join(offline, "get_embeddings", "io.safetensors"),
           "get_embeddings/io.safetensors", r"(in|out)\..*")
    as_flac("get_embeddings/io.safetensors", "in.wave", "get_embeddings/wave.flac")

def read_torch(path):
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
    loaded = Reader(zipped.open(root + "/data.pkl")).load()
    for name, ((dtype, data), offset, size) in loaded.get("state_dict", loaded).items():
        each, n = 4 if dtype == "F32" else 8, 1
        for s in size:
            n *= s
        out[name] = (dtype, list(size), data[offset * each:(offset + n) * each])
    return out

def main(full):
    wavlm = r"in\.wave|out\.(features|feature_projection|pos_conv|rep\.\d+)"
    last = r"in\.wave|out\.(features|rep\.\d+)" # rep.0 is made of what is missing
    small, large = "block_b8_l20.safetensors", "block_b25_l50.safetensors"
    odd = "io_odd.safetensors"
    for case, files in (("group_norm", ["model.pt", small]),
                        ("layer_norm", [large, odd]), # weights: prune_large_tiny's
                        ("pruned", ["model.pt", small]),
                        ("pruned_large", ["model.safetensors", large]),
                        ("noattn0", ["model.pt", small, odd]),
                        ("headdim64", ["model.safetensors", small]),
                        ("oddkernel_bias", ["model.pt", small, large, odd])):
        case = "wavlm_%s_tiny" % case
        os.makedirs(case, exist_ok=True)
        for f in files + ["model.config.json"]:
            shutil.copyfile(os.path.join(full, case, f), os.path.join(case, f))
        if "model.pt" in files:
            sums(os.path.join(full, case, "model.safetensors"), os.path.join(case, "model.sums"))
        for f in ["io.safetensors"] + ([odd] if odd in files else []):
            subset(os.path.join(full, case, f), os.path.join(case, f), wavlm
                   if re.search("layer_norm|noattn0|oddkernel", case) else last)
        first_row(os.path.join(case, "io.safetensors"), r".*")
    for case, files in (("diarizen_tiny", ["pytorch_model.bin", large, "config.toml"]),
                        ("diarizen_pruned_posi_tiny", ["model.safetensors", small])):
        os.makedirs(case, exist_ok=True)
        for f in files + ["wavlm.config.json", "model.args.json"]:
            shutil.copyfile(os.path.join(full, case, f), os.path.join(case, f))
        if "model.safetensors" not in files:
            sums(os.path.join(full, case, "model.safetensors"),
                 os.path.join(case, "pytorch_model.sums"))
        subset(os.path.join(full, case, "io.safetensors"), os.path.join(case, "io.safetensors"),
               r"in\.wave|out\.(weight_sum|lnorm|block\.\d|logits|logprobs|multilabel)")
        first_row(os.path.join(case, "io.safetensors"), r"(?!out\.(logprobs|multilabel)).*")
    for case in ("diarizen_tiny", "diarizen_pruned_posi_tiny"):
        shutil.copyfile(os.path.join(full, case, "pit_grads.safetensors"),
                        os.path.join(case, "pit_grads.safetensors"))
        subset(os.path.join(full, case, "pit_io.safetensors"), os.path.join(case, "pit_io.safetensors"),
               r"in\.wave|out\.(logprobs_train|grad_logprobs)|after\..*running.*")
    for case in ("wavlm_group_norm_tiny", "wavlm_layer_norm_tiny"):
        shutil.copyfile(os.path.join(full, case, "distill_grads.safetensors"),
                        os.path.join(case, "distill_grads.safetensors"))
        subset(os.path.join(full, case, "distill_io.safetensors"),
               os.path.join(case, "distill_io.safetensors"), r"in\.wave|out\.teacher_hiddens")
    os.makedirs("hard_concrete", exist_ok=True)
    shutil.copyfile(os.path.join(full, "hard_concrete", "hard_concrete.safetensors"),
                    os.path.join("hard_concrete", "hard_concrete.safetensors"))
    for case in ("train_step_base_tiny", "train_step_large_tiny"):
        os.makedirs(case, exist_ok=True)
        for f in ("expected_size.safetensors", "student.config.json", "meta.json", "student.safetensors"):
            shutil.copyfile(os.path.join(full, case, f), os.path.join(case, f))
        some = r".*(log_alpha|lambda\d|layers\.[03]\.(?!feed).*|conv_layers\.[06]\..*|feature_projection.*)"
        # Three steps of the small one; of the large one, whose optimiser is the same, the first.
        files = {"step_inputs": r".*", "step1_grads": some, "params_after_step1": r".*(log_alpha|lambda\d)",
                 "params_after_step3": some} if "base" in case else \
            {"step_inputs": r"in\.(wave|u)\.0.*", "step1_grads": some, "params_after_step1": some}
        for f, pattern in files.items():
            subset(os.path.join(full, case, f + ".safetensors"), os.path.join(case, f + ".safetensors"), pattern)
    for case in ("prune_base_tiny", "prune_large_tiny", "prune_dead_base_tiny", "prune_layers_base_tiny"):
        os.makedirs(case, exist_ok=True)
        for f in ["student.config.json", "pruned.config.json"] + ["student.pt"] * ("large" in case):
            shutil.copyfile(os.path.join(full, case, f), os.path.join(case, f))
        # A student is its teacher and gates: of the small ones the teacher's file is kept, of the
        # large one the student's.
        teacher = "wavlm_%s_tiny" % ("layer_norm" if "large" in case else "group_norm")
        student = read_torch(os.path.join(full, case, "student.pt"))
        own = {k: v for k, v in student.items() if k.endswith(".log_alpha")}
        assert {k: v for k, v in student.items() if k not in own} == \
            read(os.path.join(full, teacher, "model.safetensors"))
        if "large" not in case:
            write(os.path.join(case, "log_alpha.safetensors"), own)
        subset(os.path.join(full, case, "io.safetensors"), os.path.join(case, "io.safetensors"),
               r"in\.wave|(pruned|masked)\.rep\.4|mask\..*")
    os.makedirs("average", exist_ok=True)
    some = r"(classifier|weight_sum|conformer\.conformer_layer\.0\.(ffn1\.w_1|conv\.bn_norm)|" \
        r"wavlm_model\.encoder\.transformer\.layers\.1\.attention\.(k_proj|gru_rel_pos_const)).*"
    for epoch in ("epoch_0001", "epoch_0002", "epoch_0003"):
        tensors = read_torch(os.path.join(full, "average", epoch, "pytorch_model.bin"))
        write(os.path.join("average", epoch + ".safetensors"),
              {k: v for k, v in tensors.items() if re.fullmatch(some, k)})
    subset(os.path.join(full, "average", "averaged.safetensors"),
           os.path.join("average", "averaged.safetensors"), some)
    shutil.copyfile(os.path.join(full, "average", "val_metric_summary_prune.lst"),
                    os.path.join("average", "val_metric_summary_prune.lst"))
    os.makedirs("powerset_pit", exist_ok=True)
    subset(os.path.join(full, "powerset_pit", "powerset_pit.safetensors"),
           os.path.join("powerset_pit", "powerset_pit.safetensors"),
           r"to_powerset\..*|(?!soft).*\.(in\.(logprobs|target)|out\.(permutated_target|target_class|loss))")
    os.makedirs("rel_pos_buckets", exist_ok=True)
    write(os.path.join("rel_pos_buckets", "buckets.safetensors"),
          narrow(read(os.path.join(full, "rel_pos_buckets", "buckets.safetensors"))))
    shutil.copytree(os.path.join(full, "pickle"), "pickle", dirs_exist_ok=True)
    os.makedirs("diart", exist_ok=True)
    shutil.copyfile(os.path.join(full, "offline", "diart", "io.safetensors"),
                    "diart/io.safetensors")
    speaker_network(os.path.join(full, "offline"))
    for case, files in (("hf-wavlm-base-tiny", ["config.json", "pytorch_model.bin"]),
                        ("hf-wavlm-large-tiny", ["config.json", "model.safetensors"])):
        os.makedirs(os.path.join(case, case), exist_ok=True)
        for f in files:
            shutil.copyfile(os.path.join(full, case, case, f), os.path.join(case, case, f))
        for f in ["converted.config.json"] + ["name_mapping.json"] * ("large" in case):
            shutil.copyfile(os.path.join(full, case, f), os.path.join(case, f))
        if "base" in case:
            sums(os.path.join(full, case, "converted.safetensors"), os.path.join(case, "converted.sums"))
        subset(os.path.join(full, case, "io.safetensors"), os.path.join(case, "io.safetensors"),
               r"in\.wave|out\.rep\.\d+")

def edge_inputs(tensors):
    """Variants x_vbx and x_ahc hear the same: in.x.*"""
    out = {}
    for name, value in tensors.items():
        name = re.sub(r"_(vbx|ahc)\.", ".", name)
        assert out.setdefault(name, value) == value
    return out

def offline(full):
    small = r"out\.(train_chunk_idx|train_speaker_idx|count|linkage|fcluster|ahc_clusters|train_clusters" \
            r"|Phi|gamma|pi|elbo|invL|hard_clusters_final|soft_clusters|binary)"
    same = r"out\.(train_chunk_idx|train_speaker_idx|count|linkage|Phi)" # whatever the variant
    for scene in ("scene_a", "scene_edge"): # scene_b and scene_c: see the README
        src, dst = os.path.join(full, "offline", scene), os.path.join("offline", scene)
        shutil.copytree(os.path.join(src, "plda"), os.path.join(dst, "plda"), dirs_exist_ok=True)
        inputs = sets(read(os.path.join(src, "inputs.safetensors")), r".*segmentations|out\.median")
        inputs = {k: v for k, v in inputs.items() if re.fullmatch(r"in\..*|out\.(median|clean_frames)", k)}
        write(os.path.join(dst, "inputs.safetensors"),
              edge_inputs(inputs) if scene == "scene_edge" else inputs)
        first = read(os.path.join(src, "vbx.safetensors")) if scene == "scene_a" else {}
        for f in sorted(os.listdir(src)):
            if not f.endswith(".json"):
                continue
            for e in (".json", ".rttm"):
                shutil.copyfile(os.path.join(src, f[:-5] + e), os.path.join(dst, f[:-5] + e))
            whole = scene == "scene_edge" or f in ("vbx.json", "ahc_max2.json")
            kept = small[:-1] + r"|activations|fea_gram)" if whole else small
            tensors = {k: v for k, v in read(os.path.join(src, f[:-5] + ".safetensors")).items()
                       if re.fullmatch(kept, k)}
            if f != "vbx.json":
                tensors = {k: v for k, v in tensors.items()
                           if not (re.fullmatch(same, k) and first.get(k) == v)}
            write(os.path.join(dst, f[:-5] + ".safetensors"), narrow(tensors))
    for case, pattern in (("aggregate", r"(in|out)\.[abc]\..*|(in|out)\.median(_short)?|start_frames.*"),
                          ("binarize", r".*")):
        src, dst = os.path.join(full, "offline", case), os.path.join("offline", case)
        os.makedirs(dst, exist_ok=True)
        for f in os.listdir(src):
            if not f.endswith(".safetensors"):
                shutil.copyfile(os.path.join(src, f), os.path.join(dst, f))
        subset(os.path.join(src, "io.safetensors"), os.path.join(dst, "io.safetensors"), pattern)
        write(os.path.join(dst, "io.safetensors"),
              narrow(read(os.path.join(dst, "io.safetensors")), r"start_frames.*", "I32", "i"))

if __name__ == "__main__":
    main(sys.argv[1])
    offline(sys.argv[1])
