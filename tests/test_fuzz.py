"""The module against streams that chance has made, see device/fuzz.py. `make fuzz` goes on for longer."""

import random
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SECONDS = 15


@pytest.mark.core
def test_receive(mp, arch, request):
    first = arch == (request.config.getoption("--arch") or [arch])[0]
    seed = random.randrange(1 << 28)
    seeds = sorted((ROOT / "src/codec/fuzz/seeds").glob("*.txt"))
    r = mp(ROOT / "tests/device/fuzz.py", seed, SECONDS if first else 2, *seeds)
    # the script tells the seed of a round that fails: tests/mp ARCH tests/device/fuzz.py SEED 0 src/codec/fuzz/seeds/*.txt
    assert "rounds" in r.out, r
