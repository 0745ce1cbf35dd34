"""Real `.nam` files: read, written flat and as `.nam`, read back, nothing lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from bunraku.formats.flat import write_flat
from bunraku.formats.flat_reader import parse_flat
from bunraku.formats.layout import flop_per_frame, receptive_field_frames
from bunraku.formats.nam import parse_nam, read_nam
from bunraku.formats.nam_writer import write_nam
from bunraku.formats.specs import SlimmableSpec
from nam_files import each_nam_file

FLOP_PER_FRAME = {"wavenet_a1_standard": 26_640, "A2": 23_552}
RECEPTIVE_FIELD = {"wavenet_a1_standard": 4_093, "A2": 6_347, "lstm": None}


@each_nam_file
def test_flat_file_holds_all_of_a_nam_file(nam_path: Path) -> None:
    spec = read_nam(nam_path)
    flat = write_flat(spec)
    assert write_flat(parse_flat(flat)) == flat


@each_nam_file
def test_written_nam_says_the_same(nam_path: Path) -> None:
    spec = read_nam(nam_path)
    again = parse_nam(write_nam(spec))
    assert write_flat(again) == write_flat(spec)
    assert {"name": spec.name, **spec.metadata} == again.metadata


@each_nam_file
def test_costs_are_those_of_the_literature(nam_path: Path) -> None:
    network = read_nam(nam_path).chain.nodes[0]
    if nam_path.stem in FLOP_PER_FRAME:
        assert flop_per_frame(network) == FLOP_PER_FRAME[nam_path.stem]
    if nam_path.stem in RECEPTIVE_FIELD:
        assert receptive_field_frames(network) == RECEPTIVE_FIELD[nam_path.stem]


@each_nam_file
def test_sizes_of_a_slimmable_file_ascend(nam_path: Path) -> None:
    network = read_nam(nam_path).chain.nodes[0]
    if isinstance(network, SlimmableSpec):
        costs = [flop_per_frame(inner) for inner in network.networks]
        assert costs == sorted(costs)
        assert network.pick(1.0) is network.networks[-1]
        assert network.pick(0.0) is network.networks[0]
        assert np.all(np.diff(network.max_values) > 0)
