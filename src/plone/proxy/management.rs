//! Keeps the management of Plone's users, groups, roles, settings and add-ons out of the proxy, and lets only
//! administrators list its users.
//!
//! Neither a stolen token of an administrator nor a script with such a token may change rights in Plone through the
//! hub. Rights are changed in Plone itself, where its own sign-in and log apply. Plone offers each of these changes at
//! several addresses: as a REST service at any content (`/news/@users`), as the view behind the service
//! (`@@PATCH_application_json_@users`), as a form, and as a method of a tool. Form fields in a body are not read,
//! because bodies are streamed. Forms are refused under the hub's origin anyway; at Plone's own origin, Plone's
//! protection against forged requests applies to them.

use crate::plone::proxy::error::ProxyError;
use crate::text::percent;

/// REST services for users, rights and the site itself. A segment that contains such a name is refused in writes.
const SERVICES: [&str; 12] = [
    "@users",
    "@groups",
    "@principals",
    "@roles",
    "@registry",
    "@controlpanels",
    "@addons",
    "@transactions",
    "@upgrade",
    "@userschema",
    "@database",
    "@system",
];
/// Part of the names of the views behind the REST services, such as `DELETE_application_json_`. By this name, a view
/// that writes could be called with any method.
const SERVICE_VIEW: &str = "_application_json_";
/// Names of forms and tools for users, rights and the site itself. They are refused even in reads, because Plone's
/// forms accept their fields in the query, and `portal_membership/searchMembers` shows all users with their email
/// addresses to every member.
const FORMS: [&str; 22] = [
    "user-information",
    "user-preferences",
    "new-user",
    "member-fields",
    "memberdata-properties",
    "configuration_registry",
    "configuration_registry_export_xml",
    "prefs_install_products_form",
    "installer",
    "install_products",
    "uninstall_products",
    "upgrade_products",
    "plone-upgrade",
    "portal_membership",
    "portal_groups",
    "portal_groupdata",
    "portal_registration",
    "portal_registry",
    "portal_controlpanel",
    "portal_setup",
    "portal_quickinstaller",
    "portal_password_reset",
];
/// Start of the names of further such forms: users, groups and their members.
const FORMS_START: &str = "usergroup-";
/// End of the names of further such forms: the control panels.
const FORMS_END: &str = "-controlpanel";
/// Forms for one's own data, which an administrator can use for another user (`userid` in the query).
const OWN_FORMS: [&str; 3] = ["personal-information", "personal-preferences", "change-password"];
/// Parts of the names of vocabularies that list users or groups.
const PEOPLE_VOCABULARIES: [&str; 4] =
    ["vocabularies.Users", "vocabularies.Groups", "vocabularies.Principals", "users.group_ids"];
/// Views that return the vocabulary or the source that the query names.
const VOCABULARY_VIEWS: [&str; 2] = ["getVocabulary", "getSource"];
/// Views and services that list users: a search for members, and the users who made the last changes.
const PEOPLE_VIEWS: [&str; 2] = ["member-search", "@transactions"];
/// Views and services whose response lists users among other things, but not to visitors.
const PEOPLE_IN_PART: [&str; 3] = ["querystring", "qsOptions", "querybuilderjsonconfig"];

/// What this module needs to know about a request and its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rights {
    /// Whether the request only reads.
    pub(super) is_safe: bool,
    /// Whether the sender may see lists of users.
    pub(super) may_list_people: bool,
}

/// The identity with which an accepted request is forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ForwardAs {
    /// As the sender.
    Sender,
    /// As a visitor, to whom Plone shows no list of users.
    Visitor,
}

/// Checks the decoded segments of a path and the query.
///
/// # Errors
/// [`ProxyError::Management`] if the request could change users, rights or the site; [`ProxyError::People`] if its
/// response would list users or groups.
pub(super) fn check(names: &[String], query: Option<&str>, rights: Rights) -> Result<ForwardAs, ProxyError> {
    let fields: Vec<(String, String)> = query.map(query_fields).unwrap_or_default();
    // Zope calls the method that a field such as `folder/view:method` names.
    let directives = fields.iter().filter(|(name, _)| name.contains(':'));
    let called = directives.flat_map(|(name, _)| name.split(':').next().unwrap_or_default().split('/'));
    let mut forward = ForwardAs::Sender;
    for name in names.iter().map(String::as_str).chain(called) {
        let view = name.trim_start_matches("++view++").trim_start_matches('@');
        if is_management(name, view, &fields, rights.is_safe) {
            return Err(ProxyError::Management);
        }
        if rights.may_list_people {
            continue;
        }
        let is_listing = PEOPLE_VIEWS.iter().any(|one| name.contains(one))
            || PEOPLE_VOCABULARIES.iter().any(|one| name.contains(one))
            || (VOCABULARY_VIEWS.contains(&view) && !names_other_vocabulary(&fields, rights.is_safe));
        if is_listing {
            return Err(ProxyError::People);
        }
        if PEOPLE_IN_PART.contains(&view) {
            forward = ForwardAs::Visitor;
        }
    }
    Ok(forward)
}

fn is_management(name: &str, view: &str, fields: &[(String, String)], is_safe: bool) -> bool {
    let is_others = || fields.iter().any(|(field, _)| field.starts_with("userid"));
    name.contains(SERVICE_VIEW)
        || (!is_safe && SERVICES.iter().any(|service| name.contains(service)))
        || FORMS.contains(&view)
        || view.starts_with(FORMS_START)
        || view.ends_with(FORMS_END)
        || (OWN_FORMS.contains(&view) && is_others())
}

/// Returns whether the query names exactly one vocabulary, and one that lists no people. Zope also takes the name from
/// a form in the body and from a cookie, if the query has none, and decodes values by converters such as `name:utf-16`.
fn names_other_vocabulary(fields: &[(String, String)], is_safe: bool) -> bool {
    let mut names = fields.iter().filter(|(name, _)| name == "name");
    let (Some((_, value)), None) = (names.next(), names.next()) else { return false };
    let is_plain = fields.iter().all(|(name, _)| !name.contains(':'));
    is_safe && is_plain && !value.is_empty() && !PEOPLE_VOCABULARIES.iter().any(|one| value.contains(one))
}

fn query_fields(query: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| percent::decode_lossy(&text.replace('+', " "));
    let fields = query.split(['&', ';']).map(|field| field.split_once('=').unwrap_or((field, "")));
    fields.map(|(name, value)| (decoded(name).trim().to_owned(), decoded(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plone::proxy::path;

    const MEMBER: Rights = Rights { is_safe: true, may_list_people: false };

    /// Returns the outcome for a path and query below the site.
    fn outcome(target: &str, rights: Rights) -> String {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let names = path::names(path).unwrap();
        format!("{:?}", check(&names, query, rights)).replace("Ok(", "").replace("Err(", "").replace(')', "")
    }

    #[test]
    fn writes_to_users_rights_and_the_site_are_refused() {
        let write = Rights { is_safe: false, may_list_people: true };
        for service in SERVICES {
            for path in [
                format!("/{service}"),
                format!("/{service}/dean"),
                format!("/++api++/{service}/dean"),
                format!("/news/welcome/{service}"),
                format!("/@{service}"),
                format!("/++view++{service}"),
                format!("/%40{}", &service[1..]),
                format!("/PATCH_application_json_{service}"),
            ] {
                assert_eq!(outcome(&path, write), "Management", "{path}");
            }
            assert_eq!(outcome(&format!("/{service}"), Rights { is_safe: true, ..write }), "Sender", "{service}");
        }
        for path in ["/news", "/news/@sharing", "/@types/Document", "/courses/users", "/@copy"] {
            assert_eq!(outcome(path, write), "Sender", "{path}");
        }
    }

    #[test]
    fn views_behind_services_forms_and_tools_are_refused_in_reads_too() {
        for path in [
            "/news/DELETE_application_json_",
            "/news/@@PATCH_application_json_",
            "/++view++POST_application_json_@users",
            "/@@usergroup-userprefs?form.button.Modify=1",
            "/usergroup-groupmembership",
            "/++view++usergroup-groupdetails",
            "/@@user-information?userid=dean",
            "/@@security-controlpanel",
            "/@@personal-information?userid=dean",
            "/@@personal-information?user%69d:string=dean",
            "/portal_groups/addGroup?id=x",
            "/portal_setup",
            "/news?@@usergroup-userprefs:method=",
            "/news?portal_groups/addGroup%3amethod=",
        ] {
            assert_eq!(outcome(path, Rights { may_list_people: true, ..MEMBER }), "Management", "{path}");
        }
        for path in
            ["/@@personal-information", "/portal_memberdata/portraits/ann", "/@@manage-portlets", "/news?a:list=1"]
        {
            assert_eq!(outcome(path, MEMBER), "Sender", "{path}");
        }
    }

    #[test]
    fn lists_of_people_are_for_administrators() {
        for path in [
            "/@vocabularies/plone.app.vocabularies.Users",
            "/news/@vocabularies/plone.app.vocabularies.Principals",
            "/++api++/@vocabularies/plone.app.vocabularies.Groups",
            "/@vocabularies/plone.app.vocabularies.%55sers",
            "/@vocabularies/plone.app.users.group_ids",
            "/@@getVocabulary?name=plone.app.vocabularies.Users",
            "/++view++getVocabulary?name=plone.app.vocabularies.%55sers",
            "/@@getVocabulary",
            "/@@getVocabulary?name:utf-16:ustring=x",
            "/@@getVocabulary?name=x&name=plone.app.vocabularies.Users",
            "/@@getVocabulary?name=x&a:list=1",
            "/@@member-search",
            "/@transactions",
        ] {
            assert_eq!(outcome(path, MEMBER), "People", "{path}");
            assert_eq!(outcome(path, Rights { may_list_people: true, ..MEMBER }), "Sender", "{path}");
        }
        for path in
            ["/@vocabularies", "/@vocabularies/plone.app.vocabularies.Keywords", "/@@getVocabulary?name=a.Keywords"]
        {
            assert_eq!(outcome(path, MEMBER), "Sender", "{path}");
        }
        assert_eq!(outcome("/@querystring-search?query=x", MEMBER), "Sender");
        for path in ["/@querystring", "/news/@@qsOptions", "/@@querybuilderjsonconfig"] {
            assert_eq!(outcome(path, MEMBER), "Visitor", "{path}");
            assert_eq!(outcome(path, Rights { may_list_people: true, ..MEMBER }), "Sender", "{path}");
        }
    }
}
