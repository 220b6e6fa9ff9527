"""The choice of device and precision, with every device pretended to be there or not."""

import platform
from pathlib import Path

import pytest
import torch

from chromascape.devices import DEVICES, cpu_name, has_bf16, pick_device, pick_precision
from chromascape.errors import ChromascapeError


def pretend(monkeypatch: pytest.MonkeyPatch, cuda: bool = False, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


def test_auto_on_this_machine_is_a_device_that_computes() -> None:
    device = pick_device("auto", "train.device")
    assert device in DEVICES and device != "auto"
    assert float(torch.ones(3, device=device).sum()) == 3


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_prefers_cuda_then_mps(monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, expected: str) -> None:
    pretend(monkeypatch, cuda, mps)
    assert pick_device("auto", "train.device") == expected


@pytest.mark.parametrize("wanted", ["cpu", "cuda", "mps"])
def test_a_device_that_is_there_is_taken(monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    pretend(monkeypatch, cuda=True, mps=True)
    assert pick_device(wanted, "train.device") == wanted


@pytest.mark.parametrize(
    ("wanted", "cuda", "mps", "usable"),
    [("cuda", False, False, "cpu"), ("cuda", False, True, "mps, cpu"), ("mps", True, False, "cuda, cpu")],
)
def test_a_missing_device_is_one_line_that_names_the_key_and_what_there_is(
    monkeypatch: pytest.MonkeyPatch, wanted: str, cuda: bool, mps: bool, usable: str
) -> None:
    pretend(monkeypatch, cuda, mps)
    with pytest.raises(ChromascapeError) as caught:
        pick_device(wanted, "train.device")
    assert str(caught.value) == f"train.device: {wanted} is not available here; choose auto or one of: {usable}"


def test_an_unknown_device_is_one_line_with_the_choices() -> None:
    with pytest.raises(ChromascapeError) as caught:
        pick_device("tpu", "--device")
    assert str(caught.value) == "--device: no device 'tpu'; choose one of auto, cuda, mps, cpu"


@pytest.mark.parametrize(
    ("wanted", "device", "hardware", "expected"),
    [
        ("float32", "cuda", True, "float32"),
        ("bf16", "cpu", False, "bf16"),
        ("auto", "cuda", True, "bf16"),
        ("auto", "cuda", False, "float32"),
        ("auto", "cpu", False, "float32"),
        ("auto", "cpu", True, None),  # some are slower with it
    ],
)
def test_auto_takes_bf16_only_where_the_hardware_has_it(
    monkeypatch: pytest.MonkeyPatch, wanted: str, device: str, hardware: bool, expected: str | None
) -> None:
    monkeypatch.setattr("chromascape.devices.has_bf16", lambda device: hardware)
    assert pick_precision(wanted, device) == expected


def test_the_name_of_the_cpu_tells_its_model_and_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    core = "model name\t: Xeon: Gold\ncpu family\t: 6\nmodel\t\t: {}\nstepping\t: 8\n\n"
    monkeypatch.setattr(Path, "exists", lambda self: True)
    monkeypatch.setattr(Path, "read_text", lambda self, **_: core.format(143) + core.format(144))
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert cpu_name() == "Xeon: Gold 6 143 8 AVX512"
    monkeypatch.setattr(Path, "exists", lambda self: False)
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    assert cpu_name() == "arm AVX512"


@pytest.mark.parametrize("avx512", [True, False])
@pytest.mark.parametrize("amx", [True, False])
def test_a_cpu_has_bf16_by_avx512_or_amx(monkeypatch: pytest.MonkeyPatch, avx512: bool, amx: bool) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert has_bf16("cpu") is (avx512 or amx)


@pytest.mark.parametrize("there", [True, False])
def test_cuda_is_asked_without_emulation(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    asked = []

    def supported(including_emulation: bool = True) -> bool:
        asked.append(including_emulation)
        return there

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert has_bf16("cuda") is there
    assert asked == [False]


def test_mps_counts_as_without_bf16() -> None:
    assert has_bf16("mps") is False
    assert pick_precision("auto", "mps") == "float32"
