from collections import Counter, defaultdict
from dataclasses import replace

import pytest

from tests.load.plan import Plan
from tests.load.scenario import Scenario, build_scenario
from tests.load.schedule import Post, connection_storm, duplicate_message, schedule

PLAN = Plan(rate=200, seconds=10, instances=5)


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return build_scenario(PLAN)


@pytest.fixture(scope="module")
def posts(scenario: Scenario) -> list[Post]:
    return schedule(PLAN, scenario)


def test_posts_are_due_at_an_even_rate(posts: list[Post]) -> None:
    assert [post.due for post in posts] == [index / 200 for index in range(2000)]


def test_the_seed_determines_the_posts(posts: list[Post]) -> None:
    assert schedule(PLAN, build_scenario(PLAN)) == posts
    other = replace(PLAN, seed=8)
    assert schedule(other, build_scenario(other)) != posts


def test_the_planned_number_of_posts_are_repetitions(posts: list[Post]) -> None:
    assert sum(post.event.is_repetition for post in posts) == PLAN.repetitions == 600


def test_every_event_is_posted(scenario: Scenario, posts: list[Post]) -> None:
    originals = Counter(id(post.event) for post in posts if not post.event.is_repetition)
    assert originals == Counter(map(id, scenario.events))


def test_a_repetition_is_identical_or_differs_in_its_timestamps_only(posts: list[Post]) -> None:
    originals = defaultdict(list)
    for post in posts:
        if not post.event.is_repetition:
            originals[post.event.instance.name, post.event.name].append(post.event)
    restamped = 0
    for post in (post for post in posts if post.event.is_repetition):
        event = post.event
        bodies = [original.body for original in originals[event.instance.name, event.name]]
        if event.body not in bodies:
            assert without_timestamps(event.body) in [without_timestamps(body) for body in bodies]
            assert event.name in ("messages.upsert", "messages.update")
            restamped += 1
    assert restamped > 50


def test_only_messages_and_their_statuses_are_restamped(posts: list[Post], scenario: Scenario) -> None:
    times = {(event.name, event.at) for event in scenario.events}
    restamped = {post.event.name for post in posts if (post.event.name, post.event.at) not in times}
    assert restamped == {"messages.upsert", "messages.update"}


def test_the_planned_fraction_of_events_is_delayed_up_to_the_limit(scenario: Scenario, posts: list[Post]) -> None:
    delayed = [post for post in posts if not post.is_on_time and not post.event.is_repetition]
    assert 0.15 < len(delayed) / len(scenario.events) < 0.25
    positions = {id(event): index * PLAN.seconds / len(scenario.events) for index, event in enumerate(scenario.events)}
    delays = [post.due - positions[id(post.event)] for post in delayed]
    assert max(delays) < PLAN.max_delay + 1  # a delayed post may also be shifted by other delayed posts


def test_without_disorder_and_duplicates_events_are_posted_in_their_order() -> None:
    plan = replace(PLAN, duplicates=0, disorder=0)
    scenario = build_scenario(plan)
    assert [post.event for post in schedule(plan, scenario)] == list(scenario.events)


def test_a_storm_is_65_states_a_second_from_each_instance_and_ends_open(scenario: Scenario) -> None:
    by_instance = defaultdict(list)
    for post in sorted(connection_storm(PLAN, scenario.channels), key=lambda post: post.due):
        by_instance[post.event.instance.name].append(post)
    assert len(by_instance) == 5
    for posts in by_instance.values():
        assert [post.event.data["state"] for post in posts] == [*["connecting", "close"] * 325, "open"]
        times = [post.event.at for post in posts]
        assert times == sorted(set(times))


def test_copies_are_one_message_with_as_many_timestamps(scenario: Scenario) -> None:
    plan = replace(PLAN, copies=837)
    posts = list(duplicate_message(plan, scenario))
    assert len({post.event.data["messageTimestamp"] for post in posts}) == len(posts) == 837
    assert len({post.event.data["key"]["id"] for post in posts}) == 1
    assert len({post.event.body["date_time"] for post in posts}) == 837
    assert max(post.due for post in posts) < plan.seconds


def without_timestamps(body: dict[str, object]) -> str:
    data = dict(body["data"]) if isinstance(body["data"], dict) else body["data"]
    if isinstance(data, dict):
        data.pop("messageTimestamp", None)
    return repr({**body, "date_time": "", "data": data})
