import numpy as np
import pytest
from endcap_export.affinities import learn, learn_affinities, mixture
from endcap_export.histories import histories, repeat_rates
from endcap_rerank.affinities import Affinities, History, LiveAffinities
from endcap_rerank.errors import ReleaseError
from endcap_rerank.events_store import Event, SqliteEventStore
from endcap_rerank.ranker import EVENTS_FILE, Ranker
from endcap_rerank.release import Release
from endcap_rerank.requests import RecommendRequest
from endcap_rerank.settings import Settings

COUNT = 60
ROWS = {f"i{row}": row for row in range(COUNT)}


def vectors(seed=1):
    made = np.random.default_rng(seed).standard_normal((COUNT, 8)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def log(chains=40):
    """Shoppers who take i, i+1, i+2 …, each from another start, within ten products."""
    events = []
    for shopper in range(chains):
        group = shopper % 5 * 10
        for step in range(5):
            item = group + (shopper // 5 + step) % 10
            events.append(Event(f"u{shopper}", f"i{item}", "purchase", 100.0 * step))
    return events


def learnt(tmp_path, events, **given):
    learn(tmp_path / "r", histories(events, ROWS), vectors(), np.full(COUNT, -1, np.int32), **given)
    return Affinities.open(tmp_path / "r", COUNT)


def of(*rows):
    return History(np.array(rows, np.int64), np.ones(len(rows), np.float32))


def test_an_item_stands_where_it_was_touched_last():
    events = [
        Event("u", "i1", "view", 1.0),
        Event("u", "i2", "click", 2.0),
        Event("u", "i1", "purchase", 3.0),
        Event("u", "gone", "click", 4.0),
        Event("u", "i3", "dislike", 5.0),
        Event("v", "i4", "click", 0.0),
    ]
    past = histories(events, ROWS)
    assert past.items.tolist() == [4, 2, 1] or past.items.tolist() == [2, 1, 4]
    assert sorted(np.diff(past.bounds).tolist()) == [1, 2]
    weight = dict(zip(past.items.tolist(), past.weights.tolist(), strict=True))
    assert weight[1] == pytest.approx(np.log1p(4.3))
    assert weight[2] == pytest.approx(np.log1p(1.0))


def test_categories_in_which_shoppers_buy_the_same_again():
    day = 86_400.0
    categories = np.array([0] * 30 + [1] * 20 + [-1] * 10, np.int32)
    events = []
    for shopper in range(50):
        events += [Event(f"u{shopper}", "i3", "purchase", at * day) for at in (0.0, 7.0)]
        events += [Event(f"u{shopper}", "i33", "purchase", at) for at in (0.0, 60.0)]  # one visit
        events += [Event(f"u{shopper}", "i55", "purchase", at * day) for at in (0.0, 7.0)]
    rates = repeat_rates(events, ROWS, categories)
    assert rates[:30] == pytest.approx(50 / 60)
    assert rates[30:].tolist() == [0.0] * 30


def test_without_last_drops_one_item_a_shopper():
    past = histories(log(), ROWS)
    before = past.without_last()
    assert len(before) == len(past)
    assert len(before.items) == len(past.items) - len(past)
    assert before.from_end().max() == past.from_end().max() - 1


def test_the_mixture_finds_what_made_the_data():
    rng = np.random.default_rng(3)
    first, second = rng.dirichlet(np.ones(30)), rng.dirichlet(np.ones(30))
    drawn = rng.choice(30, 20_000, p=0.8 * first + 0.2 * second)
    shares, _ = mixture(np.stack([first[drawn], second[drawn]], axis=1))
    assert shares == pytest.approx([0.8, 0.2], abs=0.05)


def test_what_follows_is_learnt_with_its_direction(tmp_path):
    affinities = learnt(tmp_path, log())
    for item in (3, 14, 27):
        following = item + 1
        rows, chances = affinities.likely(of(item, item - 1), 5)
        assert rows[0] == following
        assert np.all(np.diff(chances) <= 0)
        assert item not in rows
        assert item - 1 not in rows
    ahead, back = affinities.spoken_for(of(14), np.array([15, 13]))
    assert ahead > 2 * back


def test_rows_are_chances(tmp_path):
    affinities = learnt(tmp_path, log())
    sums = np.add.reduceat(affinities.values, affinities.starts[:-1][np.diff(affinities.starts) > 0])
    assert sums.max() <= 1.0 + 1e-5
    assert affinities.prior.sum() <= 1.0 + 1e-5
    for row in range(COUNT):
        mine = slice(affinities.starts[row], affinities.starts[row + 1])
        assert row not in affinities.items[mine]
        assert np.all(np.diff(affinities.values[mine]) <= 0)
        assert len(set(affinities.items[mine].tolist())) == mine.stop - mine.start


def test_a_product_without_events_has_the_neighbours_of_those_like_it(tmp_path):
    events = [event for event in log() if event.item != "i4"]
    groups = np.repeat(vectors(2)[:6], 10, axis=0) + 0.3 * vectors()
    groups /= np.linalg.norm(groups, axis=1, keepdims=True)
    learn(tmp_path / "r", histories(events, ROWS), groups, np.full(COUNT, -1, np.int32))
    affinities = Affinities.open(tmp_path / "r", COUNT)
    rows, chances = affinities.following(of(4))
    assert len(rows)
    assert set(rows[np.argsort(-chances)][:4].tolist()) <= set(range(10))


def test_only_so_many_neighbours_are_kept(tmp_path):
    affinities = learnt(tmp_path, log(), neighbours=3)
    assert np.diff(affinities.starts).max() == 3


def test_reasons_are_the_items_that_speak(tmp_path):
    affinities = learnt(tmp_path, log())
    assert affinities.reasons(of(40, 14), 15, 1).tolist() == [14]


def test_an_empty_history_says_nothing(tmp_path):
    affinities = learnt(tmp_path, log())
    nothing = of()
    assert len(affinities.following(nothing)[0]) == 0
    rows, chances = affinities.likely(nothing, 5)
    assert chances == pytest.approx(affinities.prior[rows])
    assert affinities.chances(of(3), np.array([COUNT + 3])).tolist() == [0.0]


def test_one_shopper_with_one_event_is_enough_to_learn_what_is_popular(tmp_path):
    affinities = learnt(tmp_path, [Event("u", "i5", "click", 1.0)])
    assert affinities.likely(of(7), 1)[0].tolist() == [5]


def test_affinities_of_another_index_are_refused(tmp_path):
    learnt(tmp_path, log())
    with pytest.raises(ReleaseError, match="60"):
        Affinities.open(tmp_path / "r", COUNT + 1)
    (tmp_path / "r" / "items.npy").unlink()
    with pytest.raises(ReleaseError, match=r"items\.npy"):
        Affinities.open(tmp_path / "r", COUNT)


def test_what_is_learnt_anew_is_taken_up_and_the_old_is_cleared_away(tmp_path):
    given = (vectors(), np.full(COUNT, -1, np.int32))
    live = LiveAffinities(tmp_path, "r", COUNT)
    assert live.current() is None
    learn(tmp_path / "affinities" / "r", histories(log(), ROWS), *given)
    first = live.current()
    assert first is not None
    assert live.current() is first
    learn(tmp_path / "affinities" / "r", histories(log()[:50], ROWS), *given)
    second = live.current()
    assert second is not None
    assert second.record["shoppers"] < first.record["shoppers"]
    assert first.following(of(3))[0].size  # still readable by who has it
    assert sum(path.is_dir() and not path.is_symlink() for path in (tmp_path / "affinities").iterdir()) == 1


def test_damaged_affinities_are_passed_over_and_the_former_ones_serve(tmp_path):
    given = (vectors(), np.full(COUNT, -1, np.int32))
    folder = tmp_path / "affinities" / "r"
    live = LiveAffinities(tmp_path, "r", COUNT)
    learn(folder, histories(log(), ROWS), *given)
    first = live.current()
    learn(folder, histories(log()[:50], ROWS), *given)
    (folder / "values.npy").write_bytes(b"not an array")
    assert live.current() is first
    learn(folder, histories(log()[:100], ROWS), *given)
    assert live.current() not in (None, first)
    (folder / "meta.json").write_text("{")
    assert LiveAffinities(tmp_path, "r", COUNT).current() is None


def test_learning_for_a_repository(repository, tmp_path):
    assert learn_affinities(repository, tmp_path) == {}
    items = [f"p{number:04d}" for number in range(12)]
    store = SqliteEventStore(tmp_path / EVENTS_FILE)
    store.append(
        [
            Event(f"u{shopper}", items[(shopper + step) % 12], "purchase", 60.0 * step)
            for shopper in range(36)
            for step in range(4)
        ]
    )
    told = learn_affinities(repository, tmp_path)
    assert (told["shoppers"], told["items"]) == (36, 12)
    release = Release.open(repository / "releases" / told["release"])
    ranker = Ranker.open(release, Settings(state=tmp_path))
    ranker.feedback([Event.validated("new", items[2], "purchase", 1.0)])
    ranked = ranker.recommend(RecommendRequest.validated(user="new", k=3, diversity=0.0))
    assert ranked.item_ids[0] == items[3]
