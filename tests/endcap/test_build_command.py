import pytest

from endcap.commands.build import show_release

PARITY = {"embedding_max_abs": 1e-6, "logits_max_abs": 2e-6, "texts": 9}


@pytest.mark.parametrize(
    ("steps", "planned", "budget", "spent", "said"),
    [
        (18, 150, 150.0, 150.5, "training stopped after 18 of 150 steps: its 150 s were over"),
        (40, None, 0.5, 0.7, "training stopped after 40 steps: its 0.5 s were over"),
        (150, 150, 150.0, 150.5, ""),
        (150, 150, 150.0, 90.0, ""),
        (900, None, None, 90.0, ""),
    ],
)
def test_a_release_whose_training_ran_out_of_time_says_so(capsys, steps, planned, budget, spent, said):
    settings = {"max_steps": planned, "seconds": budget}
    training = {"steps": steps, "seconds": spent, "settings": settings}
    show_release({"metrics": {}, "parity": PARITY, "training": training})
    out = capsys.readouterr().out
    assert "2.0e-06 (9 texts)" in out
    assert (said in out) if said else ("training stopped" not in out)


def test_a_release_of_an_encoder_trained_elsewhere_says_nothing_of_training(capsys):
    show_release({"metrics": {}, "parity": PARITY, "training": None})
    assert "training stopped" not in capsys.readouterr().out
