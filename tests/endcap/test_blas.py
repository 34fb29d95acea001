"""Which kernels OpenBLAS is told to take."""

import os
import subprocess
import sys

import pytest

from endcap.blas import CORETYPE, choose_kernels, core_type

AVX512 = "fma avx2 avx512f avx512bw avx512cd avx512dq avx512vl"


@pytest.mark.parametrize(
    ("vendor", "flags", "kernels"),
    [
        ("GenuineIntel", f"sse2 {AVX512} amx_int8", "SkylakeX"),
        ("GenuineIntel", "sse2 fma avx2 avx512f", "Haswell"),
        ("GenuineIntel", "sse2 avx", None),
        ("AuthenticAMD", f"sse2 {AVX512}", "Zen"),
        ("AuthenticAMD", "sse2 fma avx2", "Zen"),
        ("AuthenticAMD", "sse2 avx2", None),
        ("SomeoneElse", AVX512, None),
    ],
)
def test_kernels_follow_what_the_processor_can_do(tmp_path, vendor, flags, kernels):
    file = tmp_path / "cpuinfo"
    one = f"processor\t: 0\nvendor_id\t: {vendor}\nmodel name\t: X: 1\nflags\t\t: {flags}\n\n"
    file.write_text(one + one.replace(flags, "sse2"))
    assert core_type(file) == kernels


def test_where_nothing_is_known_openblas_chooses(tmp_path):
    assert core_type(tmp_path / "none") is None
    (tmp_path / "arm").write_text("processor : 0\nFeatures : fp asimd\n")
    assert core_type(tmp_path / "arm") is None


def test_what_the_operator_chose_is_kept():
    environment = {CORETYPE: "Prescott"}
    choose_kernels(environment)
    assert environment == {CORETYPE: "Prescott"}


def test_numpy_gets_these_kernels_and_a_server_too():
    wanted = core_type()
    if wanted is None:
        pytest.skip("a processor for which OpenBLAS is left to choose")
    code = (
        "import endcap, numpy, os\n"
        "from threadpoolctl import threadpool_info\n"
        "from endcap.triton.installation import Installation\n"
        "from pathlib import Path\n"
        "print({one['architecture'] for one in threadpool_info() if one['internal_api'] == 'openblas'})\n"
        f"print(Installation(Path('x'), Path('y')).environment(os.environ)['{CORETYPE}'])\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != CORETYPE}
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == [f"{{'{wanted}'}}", wanted]
