//! Announcements: Plone's news items as visitors see them, and as each member of Plone sees them. Both are cached, in
//! separate caches. Only changed items are read again. The visitors' announcements are also stored, so that a hub that
//! starts while Plone is down can show them.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, MissedTickBehavior};

use crate::clock::Clock;
use crate::identity::{Caller, Identity, Source};
use crate::plone::cache::{CacheCounts, CacheLimits, CachedReply, ReadCache, ReadError};
use crate::plone::port::{Catalogue, ContentKind, Hit, NewsItem, PloneError, Viewer};
use crate::plone::rest::SANITIZER_RULES;
use crate::store::StoreError;
use crate::store::outbox::OutboxStore;

/// Maximum number of announcements; older ones are left out. One page of a search has this many results.
pub const ANNOUNCEMENTS_MAX: usize = 100;
/// Maximum number of concurrent reads of single items: half of Plone's usual four threads, so that the first read of
/// all items does not block other calls.
const ITEMS_IN_FLIGHT_MAX: usize = 2;
/// Maximum memory of an item, in bytes: several times the longest news item of a college. For a longer item, only the
/// title and the summary are stored, and its link leads to the whole item.
const ITEM_BYTES_MAX: usize = 128 * 1024;
/// Maximum length of the title and the summary of an item that is longer than [`ITEM_BYTES_MAX`], in characters.
const SUMMARY_CHARS_MAX: usize = 1_000;
/// Maximum memory of the visitors' announcements, in bytes.
const VISITORS_BYTES_MAX: usize = ANNOUNCEMENTS_MAX * ITEM_BYTES_MAX;
/// Maximum memory of the items that only members see, in bytes: about 30 kB for each of [`MEMBERS_MAX`] members.
const MEMBERS_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Maximum number of members whose announcements are cached. Beyond it, the least recently used ones are removed.
const MEMBERS_MAX: usize = 1_000;
/// Maximum number of members whose announcements are read concurrently: half of the default pool, so that other calls
/// are not blocked. Further members receive the visitors' announcements, and their own with a later request.
const MEMBER_READS_MAX: usize = 4;
/// Time after which a member's unused announcements are removed from the cache.
const MEMBER_IDLE: Duration = Duration::from_secs(30 * 60);
/// An item that was modified less than this many seconds before it was read is read once more. It may have changed
/// again within the same second, and Plone's times have a resolution of one second.
const SETTLED_S: i64 = 3;
/// Name of the note in the store with the visitors' announcements.
const NOTE: &str = "announcements";
/// Name of the note in the store with the time at which these announcements were read.
const NOTE_AT: &str = "announcements_at";

/// The cache key of the announcements of a member. Each sign-in has its own key, so that the cached announcements are
/// not used after the member has signed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberKey(Caller);

impl MemberKey {
    /// Returns the key of a caller; `None` if the caller neither signed in through Plone nor is stated to be a user of
    /// Plone by single sign-on. A caller with a token that the hub minted is a visitor in Plone, even if Plone has a
    /// user of the same name.
    #[must_use]
    pub fn of(caller: &Caller) -> Option<Self> {
        (caller.source == Source::Plone || caller.plone_user.is_some()).then(|| Self(caller.clone()))
    }
}

impl Hash for MemberKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.token_id.hash(state);
    }
}

/// A news item that was read from Plone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ReadItem {
    item: NewsItem,
    /// False if the item may have changed again within the second of its last modification. See [`SETTLED_S`].
    is_settled: bool,
    /// Version of the rules by which its HTML was sanitized; see [`SANITIZER_RULES`]. Items stored before there were
    /// versions have 0.
    #[serde(default)]
    rules: u32,
}

impl ReadItem {
    /// Creates an item of at most [`ITEM_BYTES_MAX`] bytes.
    fn new(mut item: NewsItem, is_settled: bool) -> Self {
        if item_byte_size(&item) > ITEM_BYTES_MAX {
            (item.html, item.text) = (String::new(), String::new());
            for text in [&mut item.title, &mut item.description] {
                if let Some((end, _)) = text.char_indices().nth(SUMMARY_CHARS_MAX) {
                    text.truncate(end);
                }
            }
        }
        Self { item, is_settled, rules: SANITIZER_RULES }
    }

    fn matches(&self, hit: &Hit) -> bool {
        self.item.id == hit.uid && self.item.modified == hit.modified && self.item.path == hit.path
    }
}

fn content(one: &Arc<ReadItem>) -> (u32, &NewsItem) {
    (one.rules, &one.item)
}

/// Returns the memory of an item with its texts, in bytes.
fn item_byte_size(item: &NewsItem) -> usize {
    let texts = [&item.id, &item.path, &item.title, &item.description, &item.html, &item.text];
    size_of::<ReadItem>() + texts.map(String::len).iter().sum::<usize>()
}

/// The announcements that one read returned, newest first.
#[derive(Debug)]
pub struct News {
    items: Vec<Arc<ReadItem>>,
    version: u64,
    /// The memory of the list and of the items that it does not share with the visitors' list, in bytes.
    bytes: usize,
}

impl News {
    /// Creates a list that replaces `before`. It has the same version as `before` if the items are equal. Items that
    /// the list shares with `public` do not count toward its memory.
    fn after(before: Option<&Arc<Self>>, items: Vec<Arc<ReadItem>>, public: Option<&Self>) -> Arc<Self> {
        static VERSIONS: AtomicU64 = AtomicU64::new(0);
        let is_same = |list: &Arc<Self>| list.items.iter().map(content).eq(items.iter().map(content));
        let version = match before.filter(|list| is_same(list)) {
            Some(same) => same.version,
            None => VERSIONS.fetch_add(1, Ordering::Relaxed),
        };
        let is_shared =
            |one: &&Arc<ReadItem>| public.is_some_and(|list| list.items.iter().any(|item| Arc::ptr_eq(item, one)));
        let own = items.iter().filter(|one| !is_shared(one)).map(|one| item_byte_size(&one.item)).sum::<usize>();
        let bytes = size_of::<Self>() + size_of_val(items.as_slice()) + own;
        Arc::new(Self { items, version, bytes })
    }

    /// Returns the shared empty list.
    #[must_use]
    pub fn empty() -> Arc<Self> {
        static EMPTY: OnceLock<Arc<News>> = OnceLock::new();
        EMPTY.get_or_init(|| Self::after(None, Vec::new(), None)).clone()
    }

    /// Returns the items, newest first.
    pub fn items(&self) -> impl ExactSizeIterator<Item = &NewsItem> {
        self.items.iter().map(|one| &one.item)
    }

    /// Returns the version. Lists with different items have different versions within this process.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Returns the item of a hit; `None` if it must be read again.
    fn unchanged(&self, hit: &Hit) -> Option<Arc<ReadItem>> {
        self.items.iter().find(|one| one.is_settled && one.rules == SANITIZER_RULES && one.matches(hit)).cloned()
    }
}

/// Dependencies of the announcements.
#[derive(Clone)]
pub struct AnnouncementDeps {
    /// Plone.
    pub plone: Arc<dyn Catalogue>,
    /// Tokens of members, who signed in through Plone or by single sign-on.
    pub identity: Arc<Identity>,
    /// Store for the visitors' announcements.
    pub store: Arc<dyn OutboxStore>,
    /// Clock used for ages.
    pub clock: Arc<dyn Clock>,
    /// Time between two reads of the visitors' announcements.
    pub sync: Duration,
}

/// The announcements that one caller may see.
#[derive(Debug, Clone)]
pub struct NewsView {
    /// The announcements with their age.
    pub reply: CachedReply<Arc<News>>,
    /// True if these are the member's own announcements, false if they are the visitors'.
    pub is_personal: bool,
}

impl NewsView {
    /// Returns the empty view, for a hub without Plone.
    #[must_use]
    pub fn empty() -> Self {
        let reply = CachedReply { value: News::empty(), age: Duration::ZERO, error: None };
        Self { reply, is_personal: false }
    }
}

/// The announcements of visitors and members.
pub struct Announcements {
    visitors: ReadCache<(), Arc<News>>,
    /// The value is `None` if the hub has no valid token of the member. The member then sees the visitors'
    /// announcements.
    members: ReadCache<MemberKey, Option<Arc<News>>>,
}

impl Announcements {
    /// Loads the stored announcements and starts a task on the current runtime that renews them regularly.
    pub async fn start(deps: AnnouncementDeps) -> Arc<Self> {
        let limits = CacheLimits { fresh: deps.sync, keys_max: 1, bytes_max: VISITORS_BYTES_MAX, reads_max: 1 };
        let visitor_deps = deps.clone();
        let weigh = |list: &Arc<News>| list.bytes;
        let visitors = ReadCache::new(limits, weigh, move |(), before| {
            let deps = visitor_deps.clone();
            async move { deps.read_for_visitors(before).await }.boxed()
        });
        if let Some((list, age)) = deps.load().await {
            visitors.put(&(), list, age);
        }
        let limits =
            CacheLimits { keys_max: MEMBERS_MAX, bytes_max: MEMBERS_BYTES_MAX, reads_max: MEMBER_READS_MAX, ..limits };
        let weigh = |list: &Option<Arc<News>>| list.as_ref().map_or(0, |list| list.bytes);
        let (public, sync) = (visitors.clone(), deps.sync);
        let members = ReadCache::new(limits, weigh, move |member: MemberKey, before: Option<Option<Arc<News>>>| {
            let (deps, public) = (deps.clone(), public.peek(&()));
            async move { deps.read_for_member(&member.0, before.flatten(), public.map(|reply| reply.value)).await }
                .boxed()
        });
        let announcements = Arc::new(Self { visitors, members });
        tokio::spawn(announcements.clone().keep_renewing(sync));
        announcements
    }

    async fn keep_renewing(self: Arc<Self>, sync: Duration) {
        let mut ticks = tokio::time::interval(sync);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_failing = false;
        loop {
            ticks.tick().await;
            self.members.remove_unused(MEMBER_IDLE);
            let renewed = self.renew().await;
            if let Err(error) = &renewed
                && !is_failing
            {
                log::warn!("could not read the announcements from Plone: {error}");
            }
            is_failing = renewed.is_err();
        }
    }

    /// Reads the visitors' announcements again and returns their number.
    ///
    /// # Errors
    /// If Plone fails or does not respond.
    pub async fn renew(&self) -> Result<usize, PloneError> {
        self.visitors.renew(&()).await.map(|reply| reply.value.items.len())
    }

    /// Returns the visitors' announcements. Waits, at most for `wait`, only if none are cached.
    ///
    /// # Errors
    /// If there are none in time.
    pub async fn for_visitors(&self, wait: Duration) -> Result<NewsView, ReadError> {
        self.visitors.get(&(), wait).await.map(|reply| NewsView { reply, is_personal: false })
    }

    /// Returns the announcements that a member may see. Waits for them, at most for `own_wait`, if they are not cached;
    /// then falls back to the visitors' announcements. Waits at most for `wait` in total.
    ///
    /// # Errors
    /// If there are no announcements in time.
    pub async fn for_member(
        &self,
        member: &MemberKey,
        own_wait: Duration,
        wait: Duration,
    ) -> Result<NewsView, ReadError> {
        let began = Instant::now();
        let own = self.members.get(member, own_wait.min(wait)).await;
        let wait = wait.saturating_sub(began.elapsed());
        match own {
            Ok(CachedReply { value: Some(value), age, error }) => {
                Ok(NewsView { reply: CachedReply { value, age, error }, is_personal: true })
            }
            Ok(_) => self.for_visitors(wait).await,
            Err(error) => {
                let mut view = self.for_visitors(wait).await?;
                if let ReadError::Failed(error) = error {
                    view.reply.error.get_or_insert(error);
                }
                Ok(view)
            }
        }
    }

    /// Returns the cached announcements for visitors, and the error of the last read if it failed.
    #[must_use]
    pub fn state(&self) -> (Option<CachedReply<Arc<News>>>, Option<PloneError>) {
        (self.visitors.peek(&()), self.visitors.last_error(&()))
    }

    /// Returns the memory of the visitors' cache and of the members' cache in bytes, each with its bound.
    #[must_use]
    pub fn bytes(&self) -> [(u64, u64); 2] {
        [self.visitors.bytes(), self.members.bytes()]
    }

    /// Returns the counters of the visitors' cache and of the members' cache, in this order.
    #[must_use]
    pub fn counts(&self) -> [CacheCounts; 2] {
        [self.visitors.counts(), self.members.counts()]
    }
}

/// The visitors' announcements in the form in which they are stored.
#[derive(Serialize, Deserialize)]
struct StoredList {
    items: Vec<Arc<ReadItem>>,
}

impl AnnouncementDeps {
    async fn read_for_visitors(&self, before: Option<Arc<News>>) -> Result<Arc<News>, PloneError> {
        let unchanged = |hit: &Hit| before.as_ref().and_then(|list| list.unchanged(hit));
        let items = self.read(&Viewer::Visitor, unchanged, before.as_deref()).await?;
        let list = News::after(before.as_ref(), items, None);
        // The announcements are served from the cache even if the store fails.
        if let Err(error) = self.save(&list, before.as_ref()).await {
            log::warn!("could not store the announcements for the next start: {error}");
        }
        Ok(list)
    }

    /// Reads the announcements that a member may see. Reuses unchanged items of the visitors' list. (The visitors' list
    /// never reuses items of a member's list.) Returns `None` if the hub has no valid token of the member.
    async fn read_for_member(
        &self,
        caller: &Caller,
        before: Option<Arc<News>>,
        public: Option<Arc<News>>,
    ) -> Result<Option<Arc<News>>, PloneError> {
        let Some(token) = self.identity.member_token(caller).await else { return Ok(None) };
        let unchanged = |hit: &Hit| [&before, &public].into_iter().flatten().find_map(|list| list.unchanged(hit));
        let items = self.read(&Viewer::Member(token), unchanged, before.as_deref()).await?;
        Ok(Some(News::after(before.as_ref(), items, public.as_deref())))
    }

    /// Lists the newest items that `viewer` may see and reads those for which `unchanged` returns `None`. If Plone
    /// fails to return a single item, its version in `before` is reused.
    ///
    /// # Errors
    /// If Plone does not respond, or if reading fails for every item.
    async fn read(
        &self,
        viewer: &Viewer,
        unchanged: impl Fn(&Hit) -> Option<Arc<ReadItem>>,
        before: Option<&News>,
    ) -> Result<Vec<Arc<ReadItem>>, PloneError> {
        let mut hits = self.plone.search(viewer.clone(), ContentKind::News, None, 0).await?.items;
        hits.truncate(ANNOUNCEMENTS_MAX);
        let mut found: HashMap<String, Arc<ReadItem>> =
            hits.iter().filter_map(|hit| Some((hit.uid.clone(), unchanged(hit)?))).collect();
        let missing: Vec<Hit> = hits.iter().filter(|hit| !found.contains_key(&hit.uid)).cloned().collect();
        let (requested, mut failed) = (missing.len(), 0);
        let mut reads = stream::iter(missing)
            .map(|hit| {
                let read = self.plone.news(viewer.clone(), &hit.path);
                async move { (hit.uid, read.await) }
            })
            .buffer_unordered(ITEMS_IN_FLIGHT_MAX);
        let mut last = None;
        while let Some((uid, read)) = reads.next().await {
            match read {
                Ok(item) => {
                    let is_settled = self.clock.now().as_second() - item.modified.as_second() >= SETTLED_S;
                    found.insert(uid, Arc::new(ReadItem::new(item, is_settled)));
                }
                Err(error @ (PloneError::Busy | PloneError::Open | PloneError::Unavailable(_))) => return Err(error),
                Err(error) => {
                    failed += 1;
                    let earlier = before.and_then(|list| list.items.iter().find(|one| one.item.id == uid));
                    if let (PloneError::Failed(_), Some(earlier)) = (&error, earlier) {
                        found.insert(uid, earlier.clone());
                    }
                    last = Some(error);
                }
            }
        }
        match last {
            Some(error @ PloneError::Failed(_)) if failed == requested && requested == hits.len() => Err(error),
            _ => Ok(hits.iter().filter_map(|hit| found.remove(&hit.uid)).collect()),
        }
    }

    /// Stores the visitors' announcements: the items only if they changed, and always the time at which they were read.
    async fn save(&self, list: &News, before: Option<&Arc<News>>) -> Result<(), StoreError> {
        if before.is_none_or(|before| before.version != list.version) {
            // Serializing text and times never fails.
            let items = serde_json::to_string(&StoredList { items: list.items.clone() }).unwrap_or_default();
            self.store.put_note(NOTE, items).await?;
        }
        self.store.put_note(NOTE_AT, self.clock.now().to_string()).await
    }

    /// Loads the stored announcements and their age.
    async fn load(&self) -> Option<(Arc<News>, Duration)> {
        let notes = async {
            let (items, at) = (self.store.note(NOTE).await?, self.store.note(NOTE_AT).await?);
            Ok::<_, StoreError>(items.zip(at))
        };
        let (items, at) = match notes.await {
            Ok(notes) => notes?,
            Err(error) => {
                log::warn!("could not load the stored announcements: {error}");
                return None;
            }
        };
        let at: Timestamp = at.parse().ok()?;
        let stored: StoredList = serde_json::from_str(&items).ok()?;
        let age = self.clock.now().duration_since(at);
        Some((News::after(None, stored.items, None), Duration::try_from(age).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str, text_len: usize) -> NewsItem {
        let at = Timestamp::UNIX_EPOCH;
        let text = "x".repeat(text_len);
        NewsItem {
            id: id.to_owned(),
            path: format!("/news/{id}"),
            modified: at,
            published_at: at,
            title: "T".to_owned(),
            description: text.clone(),
            html: text.clone(),
            text,
        }
    }

    #[test]
    fn only_the_summary_of_an_oversized_item_is_kept() {
        let short = ReadItem::new(item("1", 1_000), true);
        assert_eq!(short.item, item("1", 1_000));
        let long = ReadItem::new(item("2", 10 * 1024 * 1024), true).item;
        assert!(item_byte_size(&long) < 2_000);
        assert_eq!((long.title.as_str(), long.description.len()), ("T", SUMMARY_CHARS_MAX));
    }

    #[test]
    fn items_that_were_sanitized_by_older_rules_are_read_again() {
        let item = item("1", 10);
        let hit = Hit { uid: item.id.clone(), path: item.path.clone(), modified: item.modified };
        let stored = |json: serde_json::Value| News::after(None, vec![serde_json::from_value(json).unwrap()], None);
        let mut json = serde_json::to_value(ReadItem::new(item, true)).unwrap();
        assert!(stored(json.clone()).unchanged(&hit).is_some());
        json.as_object_mut().unwrap().remove("rules");
        let old = stored(json);
        assert!(old.unchanged(&hit).is_none());
        assert_eq!(old.items().len(), 1, "it is shown until it is read again");
    }

    #[test]
    fn items_of_the_visitors_list_do_not_count_twice() {
        let items = |ids: [&str; 2]| ids.map(|id| Arc::new(ReadItem::new(item(id, 10_000), true)));
        let public = News::after(None, items(["1", "2"]).to_vec(), None);
        assert!(public.bytes > 60_000);
        let [own, _] = items(["3", "4"]);
        let shared = [public.items.clone(), vec![own]].concat();
        let member = News::after(None, shared, Some(&public));
        assert!((30_000..31_000).contains(&member.bytes), "{} bytes of its own", member.bytes);
    }
}
