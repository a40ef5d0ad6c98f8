"""Nothing newer is used than torch 2.1, diffusers 0.29.2 and transformers 4.30 have, as AUTOMATIC1111 has them.

The other tests run with new versions, where what came later is there; people with an old WebUI would be the first to
miss it. This sees names alone; those of optimizers and schedules are looked up by tests/config/test_choices.py.
Arguments that came later and what a device did not yet compute show when the tests are run with the old versions:
docs/adding.md says how.
"""

from __future__ import annotations

import ast
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "trainer"
# What is added here has been looked up in the oldest version first.
IN_THE_OLDEST = {
    "torch": """
        Generator Size Tensor.detach add addcmul addmm arange as_tensor autograd.Function bmm
        __config__.show __version__.split empty_strided
        autograd.Variable._execution_engine autograd.function.once_differentiable
        autograd.graph.saved_tensors_hooks
        backends.cuda.matmul.allow_tf32 backends.cudnn.allow_tf32 backends.mps.is_available baddbmm bfloat16 bucketize
        cat cdist
        contiguous_format cuda.Event cuda.OutOfMemoryError cuda.Stream
        cuda.current_device cuda.current_stream cuda.device_count cuda.empty_cache
        cuda.get_device_name cuda.is_available cuda.mem_get_info cuda.memory_reserved cuda.stream
        cuda.synchronize cumprod
        device diag
        distributed.ProcessGroup distributed.all_gather distributed.all_gather_object distributed.all_reduce
        distributed.broadcast distributed.broadcast_object_list distributed.destroy_process_group
        distributed.init_process_group distributed.is_available distributed.is_nccl_available distributed.new_group
        dtype einsum empty empty_like equal float16 float32 float64 finfo from_numpy frombuffer
        full full_like get_num_threads inference_mode int64 int8 is_grad_enabled isfinite
        linalg.eigh linalg.solve linalg.vector_norm
        linspace mul nn.Conv2d
        nn.GroupNorm nn.LayerNorm nn.Linear nn.Module nn.ModuleList nn.Parameter nn.ParameterDict nn.ParameterList
        nn.functional.adaptive_avg_pool2d nn.functional.adaptive_max_pool2d nn.functional.conv2d nn.functional.embedding
        nn.functional.gelu
        nn.functional.group_norm nn.functional.interpolate nn.functional.l1_loss nn.functional.layer_norm
        nn.functional.linear
        nn.functional.mse_loss nn.functional.scaled_dot_product_attention nn.functional.silu
        nn.functional.smooth_l1_loss
        nn.grad.conv2d_input nn.modules.conv.Conv2d nn.modules.linear.Linear
        nn.modules.normalization.GroupNorm nn.modules.normalization.LayerNorm nn.utils.clip_grad_norm_ no_grad
        ones ones_like
        ops.aten.convolution_backward ops.aten.gelu_backward.grad_input
        optim.Optimizer optim.lr_scheduler.ReduceLROnPlateau overrides.TorchFunctionMode promote_types rand
        randint randn sigmoid special.ndtri
        stack tensor uint8 utils._python_dispatch.TorchDispatchMode var_mean where zeros
        zeros_like
    """,
    "diffusers": """
        AutoencoderKL DDIMScheduler UNet2DConditionModel loaders.single_file_utils.convert_ldm_unet_checkpoint
        loaders.single_file_utils.convert_ldm_vae_checkpoint models.activations.GEGLU
    """,
    "transformers": """
        CLIPTextConfig CLIPTextModel CLIPTextModelWithProjection CLIPTokenizer.from_pretrained
        optimization.AdafactorSchedule AutoImageProcessor.from_pretrained AutoProcessor.from_pretrained
        AutoTokenizer.from_pretrained __version__
    """,
}


def names_from_outside(code: str) -> Iterator[str]:
    """The names a file takes from other packages, in full, however they were imported."""
    tree = ast.parse(code)
    meant: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                first = each.name.partition(".")[0]
                meant[each.asname or first] = each.name if each.asname else first
                yield each.name
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for each in node.names:
                meant[each.asname or each.name] = f"{node.module}.{each.name}"
                yield f"{node.module}.{each.name}"
    for node in ast.walk(tree):
        inner, parts = node, []
        while isinstance(inner, ast.Attribute):
            parts.insert(0, inner.attr)
            inner = inner.value
        if parts and isinstance(inner, ast.Name) and inner.id in meant:
            yield ".".join([meant[inner.id], *parts])


def test_a_name_is_found_however_it_is_imported() -> None:
    code = "import torch\nimport torch.nn as nn\nfrom torch.amp import GradScaler as G\nnn.attention.x(torch.a.b[0].c)"
    assert {"torch.nn.attention.x", "torch.amp.GradScaler", "torch.a.b"} <= set(names_from_outside(code))


@pytest.mark.parametrize("library", IN_THE_OLDEST)
def test_nothing_newer_is_used(library: str) -> None:
    known = {f"{library}.{name}" for name in IN_THE_OLDEST[library].split()}
    used = {
        name
        for path in PACKAGE.rglob("*.py")
        for name in names_from_outside(path.read_text("utf-8"))
        if name.partition(".")[0] == library
    }
    last = {name for name in used if not any(other.startswith(f"{name}.") for other in used)}
    assert not sorted(last - known), "are these in the oldest version, too?"
    assert not sorted(known - last), "these are no longer used"


@pytest.mark.parametrize("library", IN_THE_OLDEST)
def test_the_names_are_there(library: str) -> None:
    """Run with the oldest versions this proves the lists; with new ones, that nothing has been taken away."""
    for name in IN_THE_OLDEST[library].split():
        pkgutil.resolve_name(f"{library}.{name}")
