//! Announcements: Plone's news items, as a visitor sees them, and as each member who signed in by Plone does. The two
//! are kept apart by their types. Only items that changed are read again. The visitors' copy is kept in the store, too,
//! so that a hub that starts while Plone is down has it.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, MissedTickBehavior};

use crate::clock::Clock;
use crate::identity::{Caller, Source};
use crate::plone::port::{Catalogue, ContentKind, Hit, NewsItem, PloneError, Viewer};
use crate::store::StoreError;
use crate::store::outbox::OutboxStore;

use crate::plone::reads::{Kept, ReadCounts, ReadError, ReadLimits, Reads};

/// The newest so many are announced: one page of a search, and more than anybody reads.
pub const ANNOUNCEMENTS_MAX: usize = 100;
/// Items that are read at once: half of Plone's usual four threads, so that a first read does not hold up everything.
const ITEMS_AT_ONCE: usize = 2;
/// Members whose own announcements are kept: those who were here lately. The others get them read again.
const MEMBERS_MAX: usize = 1_000;
/// Reads of members' announcements at once: half of the usual pool is left to everything else. Who comes beyond it gets
/// the visitors', and the own ones the next time.
const MEMBERS_AT_ONCE: usize = 4;
/// A member's copy that nobody has asked for in this time is forgotten.
const MEMBER_IDLE: Duration = Duration::from_secs(30 * 60);
/// An item that was changed less than this before it was read may have changed again in the same second, which is as
/// exactly as Plone tells it: it is read once more.
const SETTLED_S: i64 = 3;
/// The note that keeps the visitors' copy, and the one that keeps when it was last read.
const NOTE: &str = "announcements";
const NOTE_AT: &str = "announcements_at";

/// Somebody's sign-in by Plone. Another sign-in of the same person has a copy of its own, so that a copy ends with its
/// sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn(Caller);

impl SignIn {
    /// The caller's sign-in, if it was Plone who signed them in: whoever has a token of the hub's own, even one for the
    /// same name, is nobody there.
    #[must_use]
    pub fn of(caller: &Caller) -> Option<Self> {
        (caller.source == Source::Plone).then(|| Self(caller.clone()))
    }
}

impl Hash for SignIn {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.token_id.hash(state);
    }
}

/// Looks up somebody's token of Plone; none when there is none that is good.
pub type TokenOf = Arc<dyn Fn(Caller) -> BoxFuture<'static, Option<Arc<SecretString>>> + Send + Sync>;

/// An item, and when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ReadItem {
    item: NewsItem,
    is_settled: bool,
}

/// Announcements as they were read at one moment, newest first.
#[derive(Debug)]
pub struct News {
    items: Vec<Arc<ReadItem>>,
    version: u64,
}

impl News {
    /// In place of a copy `before`: of the same version when nothing is different.
    fn after(before: Option<&Arc<Self>>, items: Vec<Arc<ReadItem>>) -> Arc<Self> {
        static VERSIONS: AtomicU64 = AtomicU64::new(0);
        let same = |news: &Arc<Self>| news.items().eq(items.iter().map(|one| &one.item));
        let version = match before.filter(|news| same(news)) {
            Some(same) => same.version,
            None => VERSIONS.fetch_add(1, Ordering::Relaxed),
        };
        Arc::new(Self { items, version })
    }

    /// None.
    #[must_use]
    pub fn none() -> Arc<Self> {
        static NONE: OnceLock<Arc<News>> = OnceLock::new();
        NONE.get_or_init(|| Self::after(None, Vec::new())).clone()
    }

    /// The items, newest first.
    pub fn items(&self) -> impl ExactSizeIterator<Item = &NewsItem> {
        self.items.iter().map(|one| &one.item)
    }

    /// Differs between copies that differ, as long as this process lives.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The item of a hit, if it need not be read again.
    fn known(&self, hit: &Hit) -> Option<Arc<ReadItem>> {
        self.items.iter().find(|one| one.is_settled && one.is(hit)).cloned()
    }
}

impl ReadItem {
    fn is(&self, hit: &Hit) -> bool {
        self.item.id == hit.uid && self.item.modified == hit.modified && self.item.path == hit.path
    }
}

/// What announcements are made with.
#[derive(Clone)]
pub struct NewsDeps {
    /// Plone.
    pub plone: Arc<dyn Catalogue>,
    /// Tokens of those who signed in by it.
    pub token_of: TokenOf,
    /// Keeps the visitors' copy.
    pub store: Arc<dyn OutboxStore>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// How often the visitors' copy is renewed.
    pub sync: Duration,
}

/// Announcements for whoever asks.
#[derive(Debug, Clone)]
pub struct Told {
    /// What is announced, and how old it is.
    pub kept: Kept<Arc<News>>,
    /// Whether it is what this one member sees, and nobody else's.
    pub is_personal: bool,
}

impl Told {
    /// What a hub without Plone announces.
    #[must_use]
    pub fn nothing() -> Self {
        Self { kept: Kept { value: News::none(), age: Duration::ZERO, error: None }, is_personal: false }
    }
}

/// All announcements.
pub struct Announcements {
    visitors: Reads<(), Arc<News>>,
    /// None for somebody whom Plone does not know (any more): they see what visitors see.
    members: Reads<SignIn, Option<Arc<News>>>,
}

impl Announcements {
    /// Takes up the copy that the store has, and renews it from then on, on the current runtime.
    pub async fn start(deps: NewsDeps) -> Arc<Self> {
        let limits = ReadLimits { fresh: deps.sync, keys_max: 1, reads_max: 1 };
        let visiting = deps.clone();
        let visitors = Reads::new(limits, move |(), before| {
            let deps = visiting.clone();
            async move { deps.read_for_visitors(before).await }.boxed()
        });
        if let Some((news, age)) = deps.kept().await {
            visitors.put(&(), news, age);
        }
        let limits = ReadLimits { keys_max: MEMBERS_MAX, reads_max: MEMBERS_AT_ONCE, ..limits };
        let (public, sync) = (visitors.clone(), deps.sync);
        let members = Reads::new(limits, move |sign_in: SignIn, before: Option<Option<Arc<News>>>| {
            let (deps, public) = (deps.clone(), public.peek(&()));
            async move { deps.read_for_member(sign_in.0, before.flatten(), public.map(|kept| kept.value)).await }
                .boxed()
        });
        let announcements = Arc::new(Self { visitors, members });
        tokio::spawn(announcements.clone().renew_for_ever(sync));
        announcements
    }

    async fn renew_for_ever(self: Arc<Self>, sync: Duration) {
        let mut ticks = tokio::time::interval(sync);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            ticks.tick().await;
            self.members.forget_unused(MEMBER_IDLE);
            let renewed = self.renew().await;
            if let Err(error) = &renewed
                && !failing
            {
                log::warn!("announcements stay as they were last read: {error}");
            }
            failing = renewed.is_err();
        }
    }

    /// Reads the visitors' announcements again; answers how many there are.
    ///
    /// # Errors
    /// When Plone does not answer, or not well.
    pub async fn renew(&self) -> Result<usize, PloneError> {
        self.visitors.renew(&()).await.map(|kept| kept.value.items.len())
    }

    /// What visitors see. Waits only when there has never been a copy, and at most `wait`.
    ///
    /// # Errors
    /// When there is none.
    pub async fn for_visitors(&self, wait: Duration) -> Result<Told, ReadError> {
        self.visitors.get(&(), wait).await.map(|kept| Told { kept, is_personal: false })
    }

    /// What a member sees: the own copy, waited for at most `own_wait` when there is none yet; otherwise what visitors
    /// see. At most `wait` in all.
    ///
    /// # Errors
    /// When there is neither.
    pub async fn for_member(&self, sign_in: &SignIn, own_wait: Duration, wait: Duration) -> Result<Told, ReadError> {
        let began = Instant::now();
        let own = self.members.get(sign_in, own_wait.min(wait)).await;
        let wait = wait.saturating_sub(began.elapsed());
        match own {
            Ok(Kept { value: Some(news), age, error }) => {
                Ok(Told { kept: Kept { value: news, age, error }, is_personal: true })
            }
            Ok(_) => self.for_visitors(wait).await,
            Err(error) => {
                let mut told = self.for_visitors(wait).await?;
                if let ReadError::Failed(error) = error {
                    told.kept.error.get_or_insert(error);
                }
                Ok(told)
            }
        }
    }

    /// The visitors' copy as it is, and why it is not newer.
    #[must_use]
    pub fn state(&self) -> (Option<Kept<Arc<News>>>, Option<PloneError>) {
        (self.visitors.peek(&()), self.visitors.last_error(&()))
    }

    /// How often copies were asked for: the visitors', and members' own.
    #[must_use]
    pub fn counts(&self) -> [ReadCounts; 2] {
        [self.visitors.counts(), self.members.counts()]
    }
}

/// The visitors' copy as it is kept.
#[derive(Deserialize)]
struct KeptNews {
    items: Vec<Arc<ReadItem>>,
}

impl NewsDeps {
    async fn read_for_visitors(&self, before: Option<Arc<News>>) -> Result<Arc<News>, PloneError> {
        let known = |hit: &Hit| before.as_ref().and_then(|news| news.known(hit));
        let items = self.read(&Viewer::Visitor, known, before.as_deref()).await?;
        let news = News::after(before.as_ref(), items);
        // What cannot be kept is still announced.
        if let Err(error) = self.keep(&news, before.as_ref()).await {
            log::warn!("announcements are not kept for the next start: {error}");
        }
        Ok(news)
    }

    /// What a member sees. Items that visitors see, too, are taken from their copy; never the other way about.
    async fn read_for_member(
        &self,
        caller: Caller,
        before: Option<Arc<News>>,
        public: Option<Arc<News>>,
    ) -> Result<Option<Arc<News>>, PloneError> {
        let Some(token) = (self.token_of)(caller).await else { return Ok(None) };
        let known = |hit: &Hit| [&before, &public].into_iter().flatten().find_map(|news| news.known(hit));
        let items = self.read(&Viewer::Member(token), known, before.as_deref()).await?;
        Ok(Some(News::after(before.as_ref(), items)))
    }

    /// The newest items that `viewer` sees: those that are `known` as they are, the others read. An item that Plone
    /// fails to give stays as it was `before`, if it was there; when Plone does not answer at all, nothing is new.
    async fn read(
        &self,
        viewer: &Viewer,
        known: impl Fn(&Hit) -> Option<Arc<ReadItem>>,
        before: Option<&News>,
    ) -> Result<Vec<Arc<ReadItem>>, PloneError> {
        let mut hits = self.plone.search(viewer.clone(), ContentKind::News, None, 0).await?.items;
        hits.truncate(ANNOUNCEMENTS_MAX);
        let mut found: HashMap<String, Arc<ReadItem>> =
            hits.iter().filter_map(|hit| Some((hit.uid.clone(), known(hit)?))).collect();
        let missing: Vec<Hit> = hits.iter().filter(|hit| !found.contains_key(&hit.uid)).cloned().collect();
        let (asked, mut failed) = (missing.len(), 0);
        let mut reading = stream::iter(missing)
            .map(|hit| {
                let read = self.plone.news(viewer.clone(), &hit.path);
                async move { (hit.uid, read.await) }
            })
            .buffer_unordered(ITEMS_AT_ONCE);
        let mut last = None;
        while let Some((uid, read)) = reading.next().await {
            match read {
                Ok(item) => {
                    let is_settled = self.clock.now().as_second() - item.modified.as_second() >= SETTLED_S;
                    found.insert(uid, Arc::new(ReadItem { item, is_settled }));
                }
                Err(error @ (PloneError::Busy | PloneError::Open | PloneError::Unavailable(_))) => return Err(error),
                Err(error) => {
                    failed += 1;
                    let earlier = before.and_then(|news| news.items.iter().find(|one| one.item.id == uid));
                    if let (PloneError::Failed(_), Some(earlier)) = (&error, earlier) {
                        found.insert(uid, earlier.clone());
                    }
                    last = Some(error);
                }
            }
        }
        match last {
            Some(error @ PloneError::Failed(_)) if failed == asked && asked == hits.len() => Err(error),
            _ => Ok(hits.iter().filter_map(|hit| found.remove(&hit.uid)).collect()),
        }
    }

    /// Keeps the visitors' copy: the items when they differ, and each time when it was.
    async fn keep(&self, news: &News, before: Option<&Arc<News>>) -> Result<(), StoreError> {
        if before.is_none_or(|before| before.version != news.version) {
            let items = serde_json::json!({ "items": news.items });
            self.store.put_note(NOTE, items.to_string()).await?;
        }
        self.store.put_note(NOTE_AT, self.clock.now().to_string()).await
    }

    /// The copy that was kept, and its age.
    async fn kept(&self) -> Option<(Arc<News>, Duration)> {
        let read = async {
            let (items, at) = (self.store.note(NOTE).await?, self.store.note(NOTE_AT).await?);
            Ok::<_, StoreError>(items.zip(at))
        };
        let (items, at) = match read.await {
            Ok(kept) => kept?,
            Err(error) => {
                log::warn!("the announcements of before cannot be read: {error}");
                return None;
            }
        };
        let at: Timestamp = at.parse().ok()?;
        let kept: KeptNews = serde_json::from_str(&items).ok()?;
        let age = self.clock.now().duration_since(at);
        Some((News::after(None, kept.items), Duration::try_from(age).unwrap_or_default()))
    }
}
