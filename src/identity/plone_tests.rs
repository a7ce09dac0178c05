use super::super::plone_fixture_tests::{DAY_MS, Hub, RECHECK_MS, SECRET, TOKEN_S, outage, person, user};
use super::super::token::{TokenError, Tokens};
use super::*;
use crate::clock::Clock;
use crate::store::accounts::AuditFilter;

#[actix_web::test]
async fn plones_roles_and_groups_decide_who_somebody_is_here() {
    let hub = Hub::start().await;
    hub.put("eve", "eve", Some(person(&["Authenticated"], &["choir"])));
    hub.put("may", "may", Some(person(&["Member"], &["desk"])));
    hub.put("gone", "gone", None);
    let table = [
        ("ann", Ok(Role::Student)),
        ("sam", Ok(Role::Staff)),
        ("ada", Ok(Role::Admin)),
        ("may", Ok(Role::Staff)),
        ("eve", Err(LoginError::NotHere(NO_ROLE))),
        ("gone", Err(LoginError::NotHere(NO_ROLE))),
    ];
    for (name, expected) in table {
        let outcome = hub.login(name, "good").await;
        let role = outcome.map(|signed_in| {
            assert_eq!((signed_in.by, signed_in.caller.source), (SignedInBy::Plone, Source::Plone));
            assert_eq!(hub.identity.verify(&signed_in.token).as_ref(), Ok(&signed_in.caller));
            signed_in.caller.role
        });
        assert_eq!(role, expected, "{name}");
    }
}

#[actix_web::test]
async fn two_spellings_of_a_login_name_are_one_person_by_plones_id() {
    let hub = Hub::start().await;
    for login in ["ann@college.edu", "ANN@college.edu"] {
        hub.put(login, "ann", Some(person(&["Member"], &[])));
        assert_eq!(hub.know(login).await.caller.user, user("ann"));
    }
    hub.fail(outage());
    for (login, known) in [("ANN@college.edu", true), ("ann", true), ("ann@college.edu", false)] {
        assert_eq!(hub.login(login, "good").await.is_ok(), known, "{login}: the last spelling and the id are known");
    }
}

#[actix_web::test]
async fn an_id_that_is_no_user_name_is_told_so() {
    let hub = Hub::start().await;
    hub.put("odd", "a name with spaces", Some(person(&["Member"], &[])));
    assert_eq!(hub.login("odd", "good").await.unwrap_err(), LoginError::NotHere(ODD_NAME));
}

#[actix_web::test]
async fn a_local_account_wins_over_a_plone_user_of_its_name() {
    let hub = Hub::start().await;
    let before = hub.know("ann").await;
    hub.local_account("ann").await;
    assert_eq!(hub.ended(), ["ann"], "whoever had the name by Plone is out");
    assert_eq!(hub.identity.verify(&before.token), Err(TokenError::SignedOut));
    let local = hub.login("ann", "local").await.unwrap();
    assert_eq!((local.by, local.caller.source), (SignedInBy::LocalAccount, Source::Hub));
    assert_eq!(hub.login("ann", "good").await.unwrap_err(), LoginError::BadCredentials);
    hub.put("ann@college.edu", "ann", Some(person(&["Manager"], &[])));
    assert_eq!(hub.login("ann@college.edu", "good").await.unwrap_err(), LoginError::NotHere(LOCAL_NAME));
}

#[actix_web::test]
async fn without_plones_answer_the_last_good_password_counts_for_some_days() {
    let failures =
        [PloneError::Open, PloneError::Unavailable("no connection".to_owned()), PloneError::Failed("500".to_owned())];
    for error in failures {
        let hub = Hub::start().await;
        hub.know("ann").await;
        hub.fail(Some(error.clone()));
        let known = hub.login("ann", "good").await.unwrap();
        assert_eq!((known.by, known.caller.source), (SignedInBy::KnownPassword, Source::Plone), "{error:?}");
        assert_eq!(hub.login("ann", "wrong").await.unwrap_err(), LoginError::BadCredentials, "{error:?}");
        assert_eq!(hub.login("sam", "good").await.unwrap_err(), LoginError::Plone(error.clone()));
        hub.pass_ms(7 * DAY_MS);
        assert!(hub.login("ann", "good").await.is_ok(), "{error:?}");
        hub.pass_ms(1_000);
        assert_eq!(hub.login("ann", "good").await.unwrap_err(), LoginError::Plone(error));
    }
}

#[actix_web::test]
async fn the_last_good_password_does_not_count_while_plone_answers_whatever_it_says() {
    let answers = [
        PloneError::Forbidden,
        PloneError::Refused("400".to_owned()),
        PloneError::NotFound,
        PloneError::Occupied("another write was in the way".to_owned()),
        PloneError::Busy,
    ];
    for error in answers {
        let hub = Hub::start().await;
        hub.know("ann").await;
        hub.fail(Some(error.clone()));
        assert_eq!(hub.login("ann", "good").await.unwrap_err(), LoginError::Plone(error));
        hub.fail(outage());
        assert!(hub.login("ann", "good").await.is_ok(), "and is kept for an outage");
    }
}

#[actix_web::test]
async fn a_plone_that_never_answers_is_not_waited_for() {
    let hub = Hub::start().await;
    hub.know("ann").await;
    *hub.plone.hangs.lock() = true;
    assert_eq!(hub.login("ann", "good").await.unwrap().by, SignedInBy::KnownPassword);
    assert!(matches!(hub.login("sam", "good").await, Err(LoginError::Plone(PloneError::Unavailable(_)))));
}

#[actix_web::test]
async fn who_waits_for_a_turn_in_vain_is_known_or_told_to_come_back() {
    let hub = Hub::start().await;
    hub.know("ann").await;
    let _taken = hub.identity.members.as_ref().unwrap().turns.acquire().await.unwrap();
    assert_eq!(hub.login("ann", "good").await.unwrap().by, SignedInBy::KnownPassword);
    assert_eq!(hub.login("sam", "good").await.unwrap_err(), LoginError::Plone(PloneError::Busy));
}

#[actix_web::test]
async fn who_waits_in_vain_while_others_are_answered_is_told_to_come_back() {
    let hub = Hub::start().await;
    hub.know("ann").await;
    let members = hub.identity.members.as_ref().unwrap();
    let _taken = members.turns.acquire().await.unwrap();
    let room = members.queue.available_permits();
    let somebody_is_answered = async {
        while members.queue.available_permits() == room {
            tokio::task::yield_now().await;
        }
        members.answers.fetch_add(1, Ordering::Relaxed);
    };
    let (ann, ()) = futures_util::future::join(hub.login("ann", "good"), somebody_is_answered).await;
    assert_eq!(ann.unwrap_err(), LoginError::Plone(PloneError::Busy));
}

#[actix_web::test]
async fn a_right_password_is_enough_when_plone_does_not_say_who_it_is_any_more() {
    let hub = Hub::start().await;
    hub.know("sam").await;
    hub.change("sam", |sam| sam.password = "new");
    *hub.plone.person_error.lock() = outage();
    let again = hub.login("sam", "new").await.unwrap();
    assert_eq!((again.by, again.caller.role), (SignedInBy::Plone, Role::Staff));
    assert!(matches!(hub.login("ann", "good").await, Err(LoginError::Plone(_))), "of ann nothing is known");
}

#[actix_web::test]
async fn a_kept_password_that_plone_refuses_is_forgotten_and_a_strangers_guess_changes_nothing() {
    let hub = Hub::start().await;
    hub.know("ann").await;
    assert_eq!(hub.login("ann", "guess").await.unwrap_err(), LoginError::BadCredentials);
    hub.fail(outage());
    assert!(hub.login("ann", "good").await.is_ok());

    hub.fail(None);
    hub.change("ann", |ann| ann.password = "new");
    assert_eq!(hub.login("ann", "good").await.unwrap_err(), LoginError::BadCredentials);
    hub.fail(outage());
    assert!(matches!(hub.login("ann", "good").await, Err(LoginError::Plone(_))));
}

#[actix_web::test]
async fn whoever_lost_the_role_or_the_old_password_cannot_sign_in_without_plone() {
    let hub = Hub::start().await;
    hub.know("ann").await;
    hub.know("sam").await;
    hub.change("ann", |ann| ann.person = Some(person(&[], &[])));
    assert!(hub.login("ann", "good").await.is_err());
    hub.change("sam", |sam| sam.password = "new");
    hub.login("sam", "new").await.unwrap();
    hub.fail(outage());
    assert!(hub.login("ann", "good").await.is_err());
    assert!(hub.login("sam", "good").await.is_err());
}

#[actix_web::test]
async fn wrong_passwords_and_locked_accounts_are_limited_in_whatever_spelling() {
    let hub = Hub::start().await;
    *hub.plone.login_error.lock() = Some(PloneError::Locked("Locked\n for\t24 hours".to_owned()));
    assert_eq!(hub.login("ann", "good").await.unwrap_err(), LoginError::Locked("Locked for 24 hours".to_owned()));
    *hub.plone.login_error.lock() = None;
    for login in ["Ann", "ANN"] {
        assert_eq!(hub.login(login, "wrong").await.unwrap_err(), LoginError::BadCredentials);
    }
    assert!(matches!(hub.login("ann", "good").await, Err(LoginError::RateLimited { .. })));
    hub.pass_ms(21_000);
    assert!(hub.login("ann", "good").await.is_ok());
}

#[actix_web::test]
async fn what_changes_in_plone_ends_sign_ins_of_whoever_is_here() {
    let table: [(&str, Option<PlonePerson>, bool); 5] = [
        ("as before", Some(person(&["Member"], &[])), true),
        ("another name", Some(PlonePerson { name: Some("Ann".to_owned()), ..person(&["Member"], &[]) }), true),
        ("another role", Some(person(&["Member", "Editor"], &[])), false),
        ("no role", Some(person(&[], &[])), false),
        ("deleted", None, false),
    ];
    for (what, person, stays) in table {
        let mut hub = Hub::start().await;
        let plain = hub.identity.plain_member().unwrap();
        let signed_in = hub.know("ann").await;
        hub.change("ann", |ann| ann.person = person);
        hub.pass_ms(RECHECK_MS);
        hub.identity.verify(&signed_in.token).unwrap();
        assert!(hub.check().await);
        assert_eq!(hub.ended().is_empty(), stays, "{what}");
        assert_eq!(
            plain.borrow().is_some(),
            stays,
            "{what}: whom Plone would take for more than a member tells nothing"
        );
        hub.restart().await;
        assert_eq!(hub.identity.verify(&signed_in.token).is_ok(), stays, "{what}, after a restart");
    }
}

#[actix_web::test]
async fn a_new_role_counts_from_the_next_sign_in_even_without_plone() {
    let hub = Hub::start().await;
    let student = hub.know("ann").await;
    hub.change("ann", |ann| ann.person = Some(person(&["Editor"], &[])));
    hub.pass_ms(RECHECK_MS);
    assert!(hub.check().await);
    hub.fail(outage());
    assert_eq!(hub.login("ann", "good").await.unwrap().caller.role, Role::Staff);
    assert!(!hub.identity.is_alive(&student.caller));
}

#[actix_web::test]
async fn another_role_at_the_next_sign_in_ends_the_earlier_ones() {
    let hub = Hub::start().await;
    let before = hub.know("sam").await;
    hub.change("sam", |sam| sam.person = Some(person(&["Member"], &[])));
    // The clock has not moved: the same millisecond.
    let after = hub.login("sam", "good").await.unwrap();
    assert!(!hub.identity.is_alive(&before.caller));
    assert!(hub.identity.is_alive(&after.caller));
}

#[actix_web::test]
async fn nobody_is_thrown_out_while_plone_does_not_answer() {
    let hub = Hub::start().await;
    let signed_in = hub.know("ann").await;
    hub.fail(outage());
    hub.pass_ms(RECHECK_MS);
    assert!(!hub.check().await);
    assert!(hub.identity.is_alive(&signed_in.caller));
    // A server in front of Plone may say "not found" of everybody.
    hub.fail(None);
    hub.plone.entries.lock().clear();
    assert!(!hub.check().await);
    assert!(hub.identity.is_alive(&signed_in.caller));
    assert!(hub.ended().is_empty());
}

#[actix_web::test]
async fn one_member_at_whom_plone_fails_keeps_nobody_else_from_being_asked_about() {
    let hub = Hub::start().await;
    for name in ["ann", "sam", "ada"] {
        hub.know(name).await;
        hub.heard.connected.lock().push(name);
        hub.pass_ms(1);
    }
    hub.plone.broken.lock().push("ann");
    for (round, name) in ["sam", "ada"].into_iter().enumerate() {
        hub.change(name, |entry| entry.person = None);
        hub.pass_ms(RECHECK_MS);
        hub.plone.asked_about.lock().clear();
        assert!(hub.check().await, "Plone does answer");
        assert_eq!(hub.ended().len(), round + 1, "{name} is gone");
        let asked = hub.plone.asked_about.lock().iter().filter(|user| *user == "ann").count();
        assert_eq!(asked, 1, "a look asks about each once");
    }
    hub.plone.broken.lock().clear();
    hub.change("ann", |ann| ann.person = None);
    assert!(hub.check().await);
    assert_eq!(hub.ended(), ["sam", "ada", "ann"]);

    // What is of everybody ends the look.
    hub.know("hub").await;
    for error in [PloneError::Busy, PloneError::Open, PloneError::Unavailable("no connection".to_owned())] {
        hub.fail(Some(error));
        hub.pass_ms(RECHECK_MS);
        hub.heard.connected.lock().push("hub");
        assert!(!hub.check().await);
    }
}

#[actix_web::test]
async fn tokens_that_were_minted_are_never_checked_with_plone() {
    let hub = Hub::start().await;
    let tokens = Tokens::new(&SecretString::from(SECRET));
    let minted = tokens.mint(&user("ann"), None, Role::Admin, Duration::from_secs(86_400), hub.clock.now()).unwrap();
    assert!(hub.identity.verify(&minted.token).is_ok());
    assert!(hub.check().await);
    assert!(hub.plone.asked_about.lock().is_empty());
    let by_plone = hub.know("ann").await;
    hub.change("ann", |ann| ann.person = None);
    hub.pass_ms(RECHECK_MS);
    assert!(hub.check().await);
    assert!(!hub.identity.is_alive(&by_plone.caller));
    assert!(hub.identity.verify(&minted.token).is_ok());
    assert!(hub.identity.member_token(&minted.caller).await.is_none());
}

#[actix_web::test]
async fn who_is_here_is_asked_about_once_in_the_time_and_who_is_not_is_left_alone() {
    let hub = Hub::start().await;
    let ann = hub.know("ann").await;
    hub.know("sam").await;
    hub.know("ada").await;
    hub.heard.connected.lock().push("sam");
    hub.plone.asked_about.lock().clear();
    hub.pass_ms(RECHECK_MS + 1);
    hub.identity.verify(&ann.token).unwrap();
    for _ in 0..3 {
        assert!(hub.check().await);
    }
    let mut asked = hub.plone.asked_about.lock().clone();
    asked.sort_unstable();
    assert_eq!(asked, ["ann", "sam"], "one asks, one is connected, the third has gone");
}

#[actix_web::test]
async fn a_members_token_stays_on_the_server_until_the_sign_out_or_its_end() {
    let mut hub = Hub::start().await;
    let plain = hub.identity.plain_member().unwrap();
    hub.know("ada").await;
    assert!(plain.borrow().is_none(), "an admin is no plain member");
    let ann = hub.know("ann").await;
    let token = hub.identity.member_token(&ann.caller).await.unwrap();
    assert_eq!(plain.borrow().as_ref().unwrap().1.expose_secret(), token.expose_secret());
    assert_eq!(PloneToken::read(token.as_ref().clone()).unwrap().0, "ann");

    hub.restart().await;
    let caller = hub.identity.verify(&ann.token).unwrap();
    assert_eq!(hub.identity.member_token(&caller).await.unwrap().expose_secret(), token.expose_secret());
    hub.pass_ms(TOKEN_S * 1_000);
    assert!(hub.identity.member_token(&caller).await.is_none(), "it has expired");

    let again = hub.know("ann").await;
    assert!(hub.identity.member_token(&again.caller).await.is_some());
    hub.identity.logout(&again.caller).await.unwrap();
    assert!(hub.identity.member_token(&again.caller).await.is_none());
    assert!(hub.identity.member_token(&caller).await.is_none(), "another session of the same member");
    assert!(hub.store.member(&user("ann")).await.unwrap().unwrap().token.is_none());
}

#[actix_web::test]
async fn it_is_known_by_what_somebody_was_seen() {
    let hub = Hub::start().await;
    hub.local_account("desk").await;
    hub.know("ann").await;
    hub.login("desk", "local").await.unwrap();
    let minted = Tokens::new(&SecretString::from(SECRET));
    let minted = minted.mint(&user("robot"), None, Role::Staff, Duration::from_secs(60), hub.clock.now()).unwrap();
    hub.identity.verify(&minted.token).unwrap();
    let seen = || {
        hub.store.read(|connection| {
            let mut people = connection.prepare("SELECT username || ' ' || source FROM people ORDER BY username")?;
            people.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()
        })
    };
    while seen().await.unwrap().len() < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(seen().await.unwrap(), ["ann plone", "desk local", "robot token"]);
}

#[actix_web::test]
async fn what_plone_has_ended_is_in_the_audit_trail() {
    let hub = Hub::start().await;
    hub.know("ann").await;
    hub.change("ann", |ann| ann.person = None);
    hub.pass_ms(RECHECK_MS);
    assert!(hub.check().await);
    let members = hub.identity.members.as_ref().unwrap();
    members.plone.audit.flush().await;
    let filter = AuditFilter { user: Some("ann".to_owned()), limit: 10, ..AuditFilter::default() };
    let page = members.plone.audit.page(filter).await.unwrap();
    let lines: Vec<_> = page.items.iter().map(|line| (line.action.as_str(), line.detail.as_str())).collect();
    assert_eq!(lines, [("login.ended", "Plone does not know this user any more")]);
}
