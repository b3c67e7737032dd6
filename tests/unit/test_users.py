# SPDX-License-Identifier: MIT
"""Users that an admin adds, and those that the provisioning sets."""

import pytest

from .auth_helpers import entry, guess, refused
from .conftest import PASSWORD


def test_roles_include_those_below(auth, bob):
    session = auth.session_for(bob.session)
    assert session.may("viewer") and session.may("operator") and not session.may("admin")


def test_a_changed_role_ends_the_sessions(auth, admin, bob, ada):
    auth.users.change_role("bob", "viewer", admin)
    assert auth.session_for(bob.session) is None
    assert auth.session_for(ada.session)


def test_a_removed_user_is_out(auth, admin, bob):
    auth.users.remove("bob", admin)
    assert auth.session_for(bob.session) is None


def test_a_changed_password_ends_all_sessions_but_gives_a_new_one(auth, bob, client_info):
    tokens = auth.change_password(
        auth.session_for(bob.session), PASSWORD, "another password", client_info("192.0.2.2")
    )
    assert auth.session_for(bob.session) is None
    assert auth.session_for(tokens.session).user == "bob"


def test_a_changed_password_forgets_the_users_browsers_alone(auth, ada, bob, client_info):
    elsewhere = auth.log_in("bob", PASSWORD, "", client_info("192.0.2.9"))
    owner = client_info("192.0.2.2", browser=bob.browser)
    tokens = auth.change_password(
        auth.session_for(bob.session), PASSWORD, "another password", owner
    )
    # The network has used up its attempts: only a remembered browser is answered.
    guess(auth, client_info("203.0.113.1"), "bob", attempts=21)
    for forgotten in (bob, elsewhere):
        assert guess(auth, client_info("203.0.113.1", browser=forgotten.browser), "bob") == [429]
    assert guess(auth, client_info("203.0.113.1", browser=tokens.browser), "bob") == [401]
    guess(auth, client_info("203.0.113.2"), attempts=21)
    assert guess(auth, client_info("203.0.113.2", browser=ada.browser)) == [401]


def test_the_password_is_changed_by_who_knows_it_alone(auth, bob, client_info):
    session = auth.session_for(bob.session)
    refusal = refused(
        auth.change_password, session, "wrong", "another password", client_info("192.0.2.2")
    )
    assert refusal.status == 403
    assert auth.session_for(bob.session)


def test_one_admin_is_left(auth, admin, bob):
    assert refused(auth.users.remove, "ada", admin).status == 409
    assert refused(auth.users.change_role, "ada", "viewer", admin).status == 409
    assert auth.users.all()[0] == {
        "name": "ada",
        "role": "admin",
        "is_provisioned": False,
        "has_totp": False,
    }


def test_nobody_is_added_twice(auth, admin, bob):
    assert refused(auth.users.add, "Bob", "admin", PASSWORD, admin).status == 409


def test_an_unknown_role_is_refused(auth, admin, bob):
    assert refused(auth.users.change_role, "bob", "root", admin).status == 400
    assert refused(auth.users.add, "carol", "root", PASSWORD, admin).status == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Carol C"},
        {"role": "root"},
        {"password": PASSWORD},
        {"password": "$scrypt$ln=30,r=8,p=1$" + "A" * 22 + "$" + "A" * 43},
        {"password": "$scrypt$ln=15,r=8,p=1$" + "A" * 21 + "$" + "A" * 43},
    ],
)
def test_the_play_can_not_set_nonsense(auth, any_cost, wrong):
    assert refused(auth.users.set_provisioned, [{**entry("carol"), **wrong}]).status == 400
    assert not auth.users.exist()


@pytest.mark.usefixtures("any_cost")
def test_the_play_sets_its_users_and_no_others(auth, ada, client_info):
    users = [entry("carol"), entry("dave")]
    assert auth.users.set_provisioned(users)
    assert not auth.users.set_provisioned(users)
    carol = auth.log_in("carol", PASSWORD, "", client_info("192.0.2.3"))
    dave = auth.log_in("dave", PASSWORD, "", client_info("192.0.2.3"))
    assert auth.users.set_provisioned([users[0], entry("dave", "operator")])
    assert auth.session_for(carol.session)
    assert auth.session_for(dave.session) is None
    assert auth.users.set_provisioned([])
    assert [user["name"] for user in auth.users.all()] == ["ada"]


@pytest.mark.usefixtures("any_cost")
def test_a_name_of_digits_is_a_number_to_yaml(auth):
    user = entry("2024")
    assert auth.users.set_provisioned([{**user, "name": 2024}])
    assert not auth.users.set_provisioned([user])
    assert [user["name"] for user in auth.users.all()] == ["2024"]


@pytest.mark.usefixtures("any_cost")
def test_a_user_of_the_play_is_changed_by_the_play(auth, admin, client_info):
    auth.users.set_provisioned([entry("carol")])
    assert "carol is a provisioned user" in str(refused(auth.users.remove, "carol", admin))
