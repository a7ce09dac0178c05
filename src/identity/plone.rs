//! Sign-in by the college's Plone. What it accepts is hashed for the morning on which it does not answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{SemaphorePermit, watch};
use tokio::time::Instant;

use crate::domain::ids::UserName;
use crate::domain::role::RoleMap;
use crate::domain::role::Role;
use crate::plone::port::{Directory, PloneError, PlonePerson};
use crate::store::members::{Member, MemberStore};

use crate::identity::gate::{LoginError, SignedIn, SignedInBy};
use crate::identity::members::{Members, PlainMember, PloneToken};
use crate::identity::{Audit, Caller, Identity, Source};

/// The longest reason of Plone's that is passed on, in characters.
const REASON_CHARS_MAX: usize = 200;

const NO_ROLE: &str = "Your Plone account has no role here. Please ask the college's administrators.";
const LOCAL_NAME: &str = "An account of the hub itself has this name, so the Plone account of this name cannot be used \
                          here. Please ask the college's administrators.";
const ODD_NAME: &str = "Your Plone account's user id cannot be used here: it is too long or has spaces. Please ask the \
                        college's administrators.";

/// What signing in by Plone needs.
#[derive(Clone)]
pub struct PloneSignIn {
    /// Plone's users.
    pub directory: Arc<dyn Directory>,
    /// Where members are kept.
    pub members: Arc<dyn MemberStore>,
    /// What is told of sign-ins that ended.
    pub audit: Audit,
    /// What Plone's roles are here.
    pub roles: RoleMap,
    /// The hub's own user in Plone.
    pub hub_user: UserName,
    /// How long a sign-in may wait for Plone, all in all (`[plone] timeout_ms`).
    pub timeout: Duration,
    /// Sign-ins that Plone is asked about at once: not all of its connections, so that a class that signs in stops
    /// nothing else, and as many as it answers in time.
    pub at_once: usize,
    /// Within what time a change in Plone takes effect (`[plone] recheck_s`).
    pub recheck: Duration,
    /// For how many days after a good sign-in the same password is taken while Plone does not answer; 0 is never.
    pub offline_login_days: u32,
}

/// Plone has accepted a password.
struct Accepted {
    user: UserName,
    token: PloneToken,
    person: Result<Option<PlonePerson>, PloneError>,
}

impl Members {
    /// Asks Plone whether the password is right and, if it is, who that is; both within the configured time. The inner
    /// error: it is right, and the user has no name that could be used here.
    async fn ask(&self, login: &UserName, password: &SecretString) -> Result<Result<Accepted, LoginError>, PloneError> {
        let deadline = Instant::now() + self.plone.timeout;
        let _turn = self.turn().await?;
        let late = |_| Err(PloneError::Unavailable("not in time".to_owned()));
        let directory = &self.plone.directory;
        let token = tokio::time::timeout_at(deadline, directory.login(login, password)).await.unwrap_or_else(late);
        if !token.as_ref().is_err_and(|error| error.is_outage() || *error == PloneError::Busy) {
            self.answers.fetch_add(1, Ordering::Relaxed);
        }
        let token = token?;
        let Some((user, token)) = PloneToken::read(token) else {
            return Err(PloneError::Failed("the token of a sign-in cannot be read".to_owned()));
        };
        let Ok(user) = UserName::parse(&user) else { return Ok(Err(LoginError::NotHere(ODD_NAME))) };
        let person = tokio::time::timeout_at(deadline, directory.person(&user)).await;
        let person = person.unwrap_or_else(|_| Err(PloneError::Unavailable("not in time".to_owned())));
        Ok(Ok(Accepted { user, token, person }))
    }

    /// How long a turn is waited for: half of the time that there is, the other half is Plone's.
    fn turn_max(&self) -> Duration {
        self.plone.timeout / 2
    }

    /// Waits for a turn to ask Plone.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, PloneError> {
        let _place = self.queue.try_acquire().map_err(|_| PloneError::Busy)?;
        let turn = tokio::time::timeout(self.turn_max(), self.turns.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or(PloneError::Busy)
    }

    /// Whether what Plone said of this member may still be relied on without asking it.
    fn is_fresh(&self, member: &Member) -> bool {
        let days = i64::from(self.plone.offline_login_days);
        days > 0 && self.clock.now().as_second() - member.signed_in_at.as_second() <= days * 86_400
    }
}

impl Identity {
    /// Signs in somebody without a local account.
    pub(super) async fn login_by_plone(
        &self,
        members: &Members,
        login: UserName,
        password: SecretString,
    ) -> Result<SignedIn, LoginError> {
        let (begun, answers) = (Instant::now(), members.answers.load(Ordering::Relaxed));
        // Where nobody was told anything in all the time for a turn, those who have one wait for a Plone that hangs.
        let hangs = || begun.elapsed() >= members.turn_max() && members.answers.load(Ordering::Relaxed) == answers;
        match members.ask(&login, &password).await {
            Ok(accepted) => self.welcome(members, login, password, accepted?).await,
            Err(PloneError::Unauthenticated) => {
                self.forget_if_known(members, &login, password).await?;
                Err(LoginError::BadCredentials)
            }
            Err(PloneError::Locked(reason)) => Err(LoginError::Locked(in_plain_words(&reason))),
            Err(error) if error.is_outage() || (error == PloneError::Busy && hangs()) => {
                self.login_as_known(members, &login, password, error).await
            }
            Err(error) => {
                if !error.is_passing() {
                    log::error!("Plone does not let the hub ask who signs in: {error}");
                }
                Err(LoginError::Plone(error))
            }
        }
    }

    /// Plone has accepted the password.
    async fn welcome(
        &self,
        members: &Members,
        login: UserName,
        password: SecretString,
        Accepted { user, token, person }: Accepted,
    ) -> Result<SignedIn, LoginError> {
        let store = &members.plone.members;
        let known = store.member(&user).await?;
        let checked = person.is_ok();
        let (name, role) = match (person, &known) {
            (Ok(person), _) => {
                let roles = &members.plone.roles;
                let with_role = |person: PlonePerson| Some((roles.role(&person.roles, &person.groups)?, person.name));
                let Some((role, name)) = person.and_then(with_role) else {
                    store.forget_hash(&user).await?;
                    return Err(LoginError::NotHere(NO_ROLE));
                };
                (name.unwrap_or_else(|| user.as_str().to_owned()), role)
            }
            // The password is right. What the member may do is what it was, until Plone says otherwise.
            (Err(_), Some(known)) if members.is_fresh(known) => (known.name.clone(), known.role),
            (Err(error), _) => return Err(LoginError::Plone(error)),
        };

        let _no_change_meanwhile = self.accounts.read().await;
        self.refuse_local_name(&user).await?;
        if known.is_some_and(|known| known.role != role) {
            members.change_role(&user, role).await?;
        }
        let signed_in_at = self.clock.now();
        let member = Member {
            username: user.clone(),
            login,
            name: name.clone(),
            role,
            token: Some(token.text.as_ref().clone()),
            password_hash: None,
            signed_in_at,
        };
        store.put_member(member).await?;
        members.hashes.put(user.clone(), signed_in_at, password);
        members.welcome(&user, role, Some(token), checked);
        self.mint_for_member(members, &user, &name, role, SignedInBy::Plone)
    }

    /// Plone cannot say whether the password is right: it is compared with the one that Plone accepted last.
    async fn login_as_known(
        &self,
        members: &Members,
        login: &UserName,
        password: SecretString,
        error: PloneError,
    ) -> Result<SignedIn, LoginError> {
        let member = members.plone.members.member_by_login(login).await?.filter(|member| members.is_fresh(member));
        let Some((member, hash)) = member.and_then(|mut member| member.password_hash.take().map(|hash| (member, hash)))
        else {
            return Err(LoginError::Plone(error));
        };
        if !self.hasher.verify(password, Some(hash.expose_secret().to_owned())).await? {
            return Err(LoginError::BadCredentials);
        }
        let _no_change_meanwhile = self.accounts.read().await;
        self.refuse_local_name(&member.username).await?;
        members.welcome(&member.username, member.role, members.stored_token(&member), false);
        self.mint_for_member(members, &member.username, &member.name, member.role, SignedInBy::KnownPassword)
    }

    /// Plone refuses a password. If it is the one that is kept, that one is not good any more; any other says nothing
    /// about it, and a stranger's guess must not lock a student out of a morning without Plone.
    async fn forget_if_known(
        &self,
        members: &Members,
        login: &UserName,
        password: SecretString,
    ) -> Result<(), LoginError> {
        let member = members.plone.members.member_by_login(login).await?;
        let hash = member.as_ref().and_then(|member| member.password_hash.as_ref());
        let is_kept = self.hasher.verify(password, hash.map(|hash| hash.expose_secret().to_owned())).await;
        match member {
            // Not looked at, with too many waiting: to be safe it is forgotten.
            Some(member) if is_kept.unwrap_or(true) => Ok(members.plone.members.forget_hash(&member.username).await?),
            _ => Ok(()),
        }
    }

    async fn refuse_local_name(&self, user: &UserName) -> Result<(), LoginError> {
        match self.store.account(user).await? {
            Some(_) => Err(LoginError::NotHere(LOCAL_NAME)),
            None => Ok(()),
        }
    }

    fn mint_for_member(
        &self,
        members: &Members,
        user: &UserName,
        name: &str,
        role: Role,
        by: SignedInBy,
    ) -> Result<SignedIn, LoginError> {
        let ended_ms = members.ended_ms(user).max(self.valid_from_ms.get(user).map(|from| *from));
        self.mint(Source::Plone, user, name, role, ended_ms, by)
    }

    /// The caller's own token of Plone: only for whoever came by Plone, has not signed out since, and while it is good.
    /// It never leaves the server.
    pub async fn member_token(&self, caller: &Caller) -> Option<Arc<SecretString>> {
        let members = self.members.as_ref().filter(|_| caller.source == Source::Plone && self.is_alive(caller))?;
        members.token_of(&caller.user).await
    }

    /// Plone does not accept the caller's token any more: it is not offered again before the next sign-in.
    pub async fn forget_member_token(&self, caller: &Caller) {
        if let Some(members) = self.members.as_ref().filter(|_| caller.source == Source::Plone) {
            members.forget_token(&caller.user).await;
        }
    }

    /// Whoever signed in last as a student by Plone, and the token: with it Plone can be asked what a plain member sees.
    /// None without Plone.
    #[must_use]
    pub fn plain_member(&self) -> Option<watch::Receiver<PlainMember>> {
        self.members.as_ref().map(|members| members.plain())
    }

    /// Passwords that wait to be hashed.
    #[must_use]
    pub fn hashes_waiting(&self) -> usize {
        self.members.as_ref().map_or(0, |members| members.hashes.waiting())
    }

    /// How often members were asked about, by what Plone said.
    #[must_use]
    pub fn rechecks(&self) -> [(&'static str, u64); 4] {
        let counts = self.members.as_ref().map(|members| members.counts.clone()).unwrap_or_default();
        [
            ("same", counts.same.load(Ordering::Relaxed)),
            ("changed", counts.changed.load(Ordering::Relaxed)),
            ("gone", counts.gone.load(Ordering::Relaxed)),
            ("unanswered", counts.unanswered.load(Ordering::Relaxed)),
        ]
    }
}

/// What Plone says to the user: one line, no more than a sentence or two.
fn in_plain_words(reason: &str) -> String {
    let words: Vec<&str> = reason.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect()
}

#[cfg(test)]
#[path = "plone_tests.rs"]
mod tests;
