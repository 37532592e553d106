from collections import Counter, defaultdict
from dataclasses import replace

import pytest

from tests.load import scenario, schedule
from tests.load.plan import Plan
from tests.load.scenario import Scenario
from tests.load.schedule import Post

PLAN = Plan(rate=200, seconds=10, instances=5)


@pytest.fixture(scope="module")
def whole() -> Scenario:
    return scenario.build_scenario(PLAN)


@pytest.fixture(scope="module")
def posts(whole: Scenario) -> list[Post]:
    return schedule.schedule(PLAN, whole)


def test_the_rate_is_kept_from_the_first_post_to_the_last(posts: list[Post]) -> None:
    assert [post.due for post in posts] == [number / 200 for number in range(2000)]


def test_the_same_seed_makes_the_same_posts_and_another_one_others(posts: list[Post]) -> None:
    assert schedule.schedule(PLAN, scenario.build_scenario(PLAN)) == posts
    other = replace(PLAN, seed=8)
    assert schedule.schedule(other, scenario.build_scenario(other)) != posts


def test_so_many_posts_repeat_another_one(posts: list[Post]) -> None:
    assert sum(post.event.is_again for post in posts) == PLAN.repetitions == 600


def test_every_event_is_posted(whole: Scenario, posts: list[Post]) -> None:
    originals = Counter(id(post.event) for post in posts if not post.event.is_again)
    assert originals == Counter(map(id, whole.events))


def test_a_repetition_is_the_same_bytes_or_the_same_words_with_new_times(posts: list[Post]) -> None:
    originals = defaultdict(list)
    for post in posts:
        if not post.event.is_again:
            originals[post.event.channel.name, post.event.name].append(post.event)
    anew = 0
    for post in (post for post in posts if post.event.is_again):
        event = post.event
        bodies = [one.body for one in originals[event.channel.name, event.name]]
        if event.body not in bodies:
            assert timeless(event.body) in [timeless(body) for body in bodies]
            assert event.name in ("messages.upsert", "messages.update")
            anew += 1
    assert anew > 50


def test_nothing_but_messages_and_their_statuses_is_told_anew(posts: list[Post], whole: Scenario) -> None:
    times = {(event.name, event.at) for event in whole.events}
    later = {post.event.name for post in posts if (post.event.name, post.event.at) not in times}
    assert later == {"messages.upsert", "messages.update"}


def test_so_many_posts_come_late_and_not_later_than_the_longest_delay(whole: Scenario, posts: list[Post]) -> None:
    held_back = [post for post in posts if not post.is_prompt and not post.event.is_again]
    assert 0.15 < len(held_back) / len(whole.events) < 0.25
    place = {id(event): index * PLAN.seconds / len(whole.events) for index, event in enumerate(whole.events)}
    late = [post.due - place[id(post.event)] for post in held_back]
    assert max(late) < PLAN.longest_delay + 1  # others that come late make room, or take it


def test_without_disorder_and_duplicates_the_order_is_the_one_they_were_built_in(whole: Scenario) -> None:
    plan = replace(PLAN, duplicates=0, disorder=0)
    whole = scenario.build_scenario(plan)
    assert [post.event for post in schedule.schedule(plan, whole)] == list(whole.events)


def test_a_storm_is_65_states_a_second_of_each_instance_and_ends_open(whole: Scenario) -> None:
    posts = list(schedule.connection_storm(PLAN, whole.channels))
    by_instance = defaultdict(list)
    for post in sorted(posts, key=lambda post: post.due):
        by_instance[post.event.channel.name].append(post)
    assert len(by_instance) == 5
    for states in by_instance.values():
        assert [post.event.data["state"] for post in states] == [*["connecting", "close"] * 325, "open"]
        clocks = [post.event.at for post in states]
        assert clocks == sorted(set(clocks))


def test_copies_are_one_message_with_as_many_timestamps(whole: Scenario) -> None:
    plan = replace(PLAN, copies=837)
    posts = list(schedule.duplicate_message(plan, whole))
    assert len({post.event.data["messageTimestamp"] for post in posts}) == len(posts) == 837
    assert len({post.event.data["key"]["id"] for post in posts}) == 1
    assert len({post.event.body["date_time"] for post in posts}) == 837
    assert max(post.due for post in posts) < plan.seconds


def timeless(body: dict[str, object]) -> str:
    data = dict(body["data"]) if isinstance(body["data"], dict) else body["data"]
    if isinstance(data, dict):
        data.pop("messageTimestamp", None)
    return repr({**body, "date_time": "", "data": data})
