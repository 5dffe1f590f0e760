"""The budget on a simulated clock: two rounds for every case, shares of what is over, revisits of the least known."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType, SimpleNamespace

import pytest

from mcnbench.measure.budget import FIRST_SHARE, ROUNDS, Budget


class Simulation:
    """Runs an experiment whose visits take `start` seconds, then rounds of `seconds`, then `closing` seconds."""

    def __init__(
        self,
        budget: float,
        cases: Mapping[str, float],
        predicted: Mapping[str, float] | None = None,
        first_share: float = FIRST_SHARE,
    ) -> None:
        self.now = 1000.0
        self.seconds = dict(cases)
        self.start, self.closing = 5.0, 4.0
        self.rounds: dict[str, list[int]] = {case: [] for case in cases}
        predicted = predicted or {case: 9 + 2 * s for case, s in cases.items()}
        self.budget = Budget(budget, predicted, lambda: self.now, first_share)

    def visit(self, case: str) -> None:
        """A visit that the budget was asked for."""
        self.now += self.start
        done = 0
        while self.budget.another_round(done, self.seconds[case], self.closing):
            self.now += self.seconds[case]
            done += 1
        self.now += self.closing
        self.budget.leave(case, done, self.seconds[case])
        self.rounds[case].append(done)

    def spend(self, widths: Mapping[str, float] = MappingProxyType({})) -> list[str]:
        """Visits each case once, and those with widths again; returns what was left out."""
        left_out: list[str] = []
        missing = self.budget.spend(
            [SimpleNamespace(name=case) for case in self.seconds],
            lambda case: self.visit(case.name),
            lambda case: left_out.append(case.name),
            lambda: widths,
        )
        assert [case.name for case in missing] == left_out
        return left_out


CASES = {"a": 4.0, "b": 8.0, "c": 12.0}


@pytest.mark.parametrize("budget", [76.0, 100.0, 200.0, 1000.0])
def test_every_case_gets_its_two_rounds_within_the_budget(budget: float) -> None:
    run = Simulation(budget, CASES)
    run.spend()
    assert all(rounds[0] >= ROUNDS for rounds in run.rounds.values())
    assert run.now <= 1000 + budget


def test_what_is_over_is_shared_by_all_and_leaves_some_for_revisits() -> None:
    run = Simulation(300.0, CASES)
    run.spend()
    assert min(rounds[0] for rounds in run.rounds.values()) > ROUNDS
    assert run.budget.left() > 60


def test_predictions_that_are_far_too_short_are_corrected_by_the_first_visit() -> None:
    run = Simulation(200.0, CASES, {case: 1 + s / 4 for case, s in CASES.items()})
    run.spend()
    assert [rounds[0] >= ROUNDS for rounds in run.rounds.values()] == [True] * 3
    assert run.now <= 1200 + run.seconds["c"]


def test_predictions_that_are_far_too_long_still_spend_the_budget() -> None:
    run = Simulation(300.0, CASES, {case: 100 + 20 * s for case, s in CASES.items()})
    run.spend(dict.fromkeys(CASES, 1.0))
    assert run.now > 1250
    assert run.now <= 1300


def test_where_not_all_fit_the_first_does_not_use_up_the_time_that_it_was_predicted_to_take() -> None:
    cases = {"small": 1.0, "large": 4.0, "larger": 5.0}
    simulation = Simulation(53, cases, {"small": 26.0, "large": 34.0, "larger": 38.0})
    assert simulation.spend() == []
    assert simulation.rounds["small"] == [5], "in 26 seconds it would have 17"


def test_first_visits_without_a_share_of_what_is_over_have_two_rounds() -> None:
    simulation = Simulation(200, {"a": 1.0, "b": 2.0}, first_share=0.0)
    assert simulation.spend({"b": 1.0}) == []
    assert simulation.rounds["a"] == [2]
    assert simulation.rounds["b"][0] == 2
    assert len(simulation.rounds["b"]) > 2, "what is over goes into revisits"


def test_revisits_go_where_the_interval_is_widest_and_end_within_the_budget() -> None:
    run = Simulation(300.0, CASES)
    run.spend({"a": 0.02, "b": 0.30, "c": 0.05})
    assert len(run.rounds["b"]) > 1
    assert len(run.rounds["a"]) == len(run.rounds["c"]) == 1 or run.budget.left() < run.budget.shortest("b")
    assert run.now <= 1300


def test_a_case_that_does_not_fit_any_more_leaves_room_for_a_shorter_one() -> None:
    run = Simulation(1000.0, CASES)
    run.spend()
    run.now = 1000 + 1000 - 20.0  # a visit to "a" takes 17, to "c" 33
    assert run.budget.widest({"a": 0.01, "c": 0.5}) == "a"
    run.now = 1000 + 1000 - 10.0
    assert run.budget.widest({"a": 0.01, "c": 0.5}) is None


def test_no_case_is_begun_when_the_budget_is_spent() -> None:
    run = Simulation(30.0, {"a": 30.0, "b": 1.0})
    assert run.spend({"a": 1.0, "b": 1.0}) == ["b"]
    assert run.rounds == {"a": [2], "b": []}, "a case that was begun gets its two rounds"


def test_a_failed_visit_without_rounds_does_not_disturb_the_others() -> None:
    run = Simulation(200.0, CASES)
    assert run.budget.enter("a")
    run.now += 1
    run.budget.leave("a", 0, 0.0)
    for case in ("b", "c"):
        assert run.budget.enter(case)
        run.visit(case)
    assert run.rounds["b"][0] >= ROUNDS
