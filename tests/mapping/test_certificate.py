"""One certificate for all that is searched."""

from hwsim.mapping.certificate import Certificate, exhausted


def test_a_space_tried_whole_is_its_own_bound():
    """The best is the bound, no gap, and every member is tried or left out by a named rule."""
    found = exhausted("menu", "latency", 12.0, 9, left_out={"not offered": 4})
    assert found == Certificate("menu", "latency", True, 12.0, 0.0, 9, 5, {"not offered": 4}, "ideal")
    assert found.form == {
        "optimal": True,
        "lower_bound": 12.0,
        "gap": 0.0,
        "space": "menu",
        "nests": {"represented": 9, "evaluated": 5, "pruned": {"not offered": 4}},
    }


def test_a_choice_by_another_rule_has_a_gap():
    """What software chose by its own rule is held against the least member."""
    found = exhausted("blockings", "latency", 12.0, 3, least=10.0)
    assert (found.optimal, found.lower_bound, found.evaluated) == (False, 10.0, 3)
    assert abs(found.gap - 0.2) < 1e-12
