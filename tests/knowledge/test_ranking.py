"""Content words, and the merging of rankings."""

from hypothesis import given
from hypothesis import strategies as st

from engine.knowledge.fusion import fuse
from engine.knowledge.terms import content_stems, content_words

rankings = st.lists(st.lists(st.sampled_from("abcdefgh"), unique=True), max_size=3)


def test_function_words_and_repetitions_go() -> None:
    assert content_words("What is the Opening time of the opening?") == ["opening", "time"]


def test_endings_do_not_matter_to_stems() -> None:
    assert content_stems("opens parcels delivered") & content_stems("opening a parcel, deliver") == {
        "open",
        "parcel",
        "deliver",
    }


def test_agreement_beats_a_single_first_rank() -> None:
    assert fuse([["a", "b", "c"], ["b", "c", "d"]], 4)[0] == "b"


@given(rankings, st.integers(0, 10))
def test_fusion_keeps_all_items_once_up_to_the_limit(lists: list[list[str]], limit: int) -> None:
    fused = fuse(lists, limit)
    everything = {item for ranking in lists for item in ranking}
    assert len(fused) == len(set(fused)) == min(limit, len(everything))
    assert set(fused) <= everything


@given(st.lists(st.sampled_from("abcdefgh"), unique=True))
def test_one_ranking_is_kept(ranking: list[str]) -> None:
    assert fuse([ranking, ranking], 100) == ranking
