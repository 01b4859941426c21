"""Compares an exported network in onnxruntime and in PyTorch with dtrain's own outputs, for the same inputs.

check.py NAME MODEL.onnx MODULE.py SAMPLES.safetensors        prints a line of a table; exit code 1 beyond the tolerance
"""
import importlib.util
import sys
import time

import numpy as np
import onnx
import onnxruntime
import torch
from safetensors.numpy import load_file

# Largest difference of a joint's coordinate, as a share of the labels' standard deviation: 1e-4 of some 30 mm is 0.003 mm. Where a
# network's outputs are larger than any label (seed-verbatim before it collapses), as a share of theirs.
TOLERANCE = 1e-4


def in_millimetres(joints, module):
    return module.to_millimetres(torch.from_numpy(joints)).numpy()


def joints(module, outputs, samples):
    outputs = torch.from_numpy(outputs)
    return (module.to_uvd(outputs, torch.from_numpy(samples["centre"])) if "centre" in samples else module.to_uvd(outputs)).numpy()


def frames_per_second(session, images, batch, seconds=1.0):
    batch_images = np.resize(images, (batch, *images.shape[1:]))
    session.run(None, {"input": batch_images})
    start, frames = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        session.run(None, {"input": batch_images})
        frames += batch
    return frames / (time.perf_counter() - start)


def main(name, onnx_path, module_path, samples_path):
    # By its path: models above 2 GB cannot be checked in memory, and the shapes are inferred in full.
    onnx.checker.check_model(onnx_path, full_check=True)
    model = onnx.load(onnx_path)
    metadata = {entry.key for entry in model.metadata_props}
    missing = {"dtrain.input", "dtrain.output", "dtrain.pipeline"} - metadata
    assert not missing and model.doc_string, f"the model lacks {missing or 'a doc string'}"
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N", "the batch dimension is not free"
    opset = model.opset_import[0].version
    del model

    samples = load_file(samples_path)
    spec = importlib.util.spec_from_file_location("exported", module_path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.Network().eval()
    with torch.no_grad():
        of_torch = network(torch.from_numpy(samples["input"])).numpy()
    session = onnxruntime.InferenceSession(onnx_path, providers=["CPUExecutionProvider"])
    of_onnx = session.run(None, {"input": samples["input"]})[0]
    alone = np.concatenate([session.run(None, {"input": samples["input"][i : i + 1]})[0] for i in range(3)])

    truth = in_millimetres(samples["label"], module)
    own = in_millimetres(samples["joints"], module)
    scale = max(truth.reshape(len(truth), -1).std(0).mean(), np.abs(own - truth.mean(0)).mean())
    worst = 0.0
    figures = []
    for outputs in (of_onnx, of_torch, np.concatenate([alone, of_onnx[3:]])):
        difference = np.abs(in_millimetres(joints(module, outputs, samples), module) - own).max()
        worst = max(worst, difference / scale if np.isfinite(difference) else np.inf)
        figures.append(difference)
    within = worst <= TOLERANCE
    if not within:
        # Sums of seed-verbatim's millimetres are so large that float32 itself is coarser. Then dtrain must be as near as PyTorch's
        # float32 to what PyTorch gives in double precision, and onnxruntime nearly so.
        with torch.no_grad():
            exact = network.double()(torch.from_numpy(samples["input"]).double()).float().numpy()
        exact = in_millimetres(joints(module, exact, samples), module)
        errors = {"dtrain": np.abs(own - exact).max()}
        for program, outputs in (("onnxruntime", of_onnx), ("PyTorch", of_torch)):
            errors[program] = np.abs(in_millimetres(joints(module, outputs, samples), module) - exact).max()
        print(f"{name}: float32 against float64, mm: " + ", ".join(f"{k} {v:.2g}" for k, v in errors.items()), file=sys.stderr)
        within = errors["dtrain"] <= 2 * errors["PyTorch"] and errors["onnxruntime"] <= 4 * errors["PyTorch"]
    speeds = [frames_per_second(session, samples["input"], batch) for batch in (1, 64)]
    verdict = "TOO FAR" if not within else "ok" if worst <= TOLERANCE else "ok, float32's own error"
    print(
        f"| {name} | {len(truth)} | {opset} | {figures[0]:.2g} | {figures[1]:.2g} | {worst:.1g} | {speeds[0]:.0f} | {speeds[1]:.0f} | {verdict} |",
        flush=True,
    )
    return within


if __name__ == "__main__":
    sys.exit(0 if main(*sys.argv[1:]) else 1)
