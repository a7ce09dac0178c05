//! The page that a browser shows when a single sign-on has failed: what happened, what to do next, and whom to ask, in
//! English or Spanish.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use url::form_urlencoded;

use crate::domain::language::Language;
use crate::http::message_page::{self, escape, language_of};
use crate::http::request_id::RequestId;
use crate::identity::external::NameOwner;
use crate::sso::SsoError;

/// Why a sign-in failed, for its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// There is no such provider.
    UnknownProvider,
    /// The provider does not respond.
    Unavailable,
    /// Too many users are signing in.
    Busy,
    /// The hub could not store the sign-in.
    NotStored,
    /// The hub and the provider do not recognize each other.
    Misconfigured,
    /// The sign-in is too late, was used, or began in another browser.
    NotOpen,
    /// The provider has refused the sign-in.
    Denied,
    /// The response of the provider is not valid.
    Invalid,
    /// The provider states no usable username.
    NoUsername,
    /// The user has no role in the hub.
    NoRole,
    /// The username belongs to someone else.
    NameTaken {
        /// The username.
        username: String,
        /// Its owner.
        owner: NameOwner,
    },
}

impl From<&SsoError> for Failure {
    fn from(error: &SsoError) -> Self {
        match error {
            SsoError::Unavailable(_) => Self::Unavailable,
            SsoError::Busy => Self::Busy,
            SsoError::Misconfigured(_) => Self::Misconfigured,
            SsoError::NotOpen(_) => Self::NotOpen,
            SsoError::Denied(_) => Self::Denied,
            SsoError::InvalidToken(_) => Self::Invalid,
            SsoError::NoUsername(_) => Self::NoUsername,
            SsoError::NoRole => Self::NoRole,
        }
    }
}

/// The page about a failed sign-in.
pub(super) struct FailurePage<'a> {
    language: Language,
    request_id: String,
    /// The title of the provider; `None` if it has none.
    title: Option<&'a str>,
    help: &'a str,
    next: &'a str,
    /// The path at which the sign-in begins again.
    again: Option<&'a str>,
}

impl<'a> FailurePage<'a> {
    /// Creates a page. `help` says whom to ask, and `next` is the path to which the sign-in would have led.
    pub(super) fn new(req: &HttpRequest, title: Option<&'a str>, help: &'a str, next: &'a str) -> Self {
        let title = title.filter(|title| !title.is_empty());
        Self { language: language_of(req), request_id: RequestId::text_of(req), title, help, next, again: None }
    }

    /// Adds a link with which the user tries again.
    pub(super) fn at(self, again: &'a str) -> Self {
        Self { again: Some(again), ..self }
    }

    /// Returns the response.
    pub(super) fn respond(&self, failure: &Failure) -> HttpResponse {
        let status = match failure {
            Failure::UnknownProvider => StatusCode::NOT_FOUND,
            Failure::Unavailable | Failure::Busy | Failure::NotStored => StatusCode::SERVICE_UNAVAILABLE,
            Failure::NotOpen => StatusCode::BAD_REQUEST,
            Failure::Misconfigured
            | Failure::Denied
            | Failure::Invalid
            | Failure::NoUsername
            | Failure::NoRole
            | Failure::NameTaken { .. } => StatusCode::FORBIDDEN,
        };
        HttpResponse::build(status).content_type("text/html; charset=utf-8").body(self.html(failure))
    }

    fn html(&self, failure: &Failure) -> String {
        let pick = |english, spanish| self.language.pick(english, spanish);
        let title = self.title.unwrap_or(pick("the college sign-in", "el inicio de sesión institucional"));
        let (heading, what) = texts(failure, self.language);
        let what = match failure {
            Failure::NameTaken { username, .. } => what.replace("{username}", username),
            _ => what.to_owned(),
        };
        let what = escape(&what.replace("{title}", title));
        let help = if self.help.is_empty() {
            pick("the college's administrators", "la administración de la institución")
        } else {
            self.help
        };
        let ask = pick("If you need help, contact {help}.", "Si necesita ayuda, comuníquese con {help}.");
        let ask = escape(&ask.replace("{help}", help));
        let again = self.again.map(|path| {
            let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", self.next).finish();
            let (path, text) = (escape(&format!("{path}?{query}")), pick("Sign in again", "Iniciar sesión de nuevo"));
            format!("<p><a class=\"button\" href=\"{path}\">{text}</a></p>")
        });
        let content = format!("<p>{what}</p><p>{ask}</p>{}", again.unwrap_or_default());
        message_page::html(self.language, heading, &content, &self.request_id)
    }
}

/// Returns the heading and the text of a page.
fn texts(failure: &Failure, language: Language) -> (&'static str, &'static str) {
    let of = |english, spanish| language.pick(english, spanish);
    match failure {
        Failure::UnknownProvider => of(
            ("This sign-in does not exist", "The address is wrong, or the college no longer uses this way to sign in."),
            ("Este inicio de sesión no existe", "La dirección es incorrecta o la institución ya no usa este método."),
        ),
        Failure::Unavailable => of(
            (
                "The college sign-in is not responding",
                "You were not signed in, because {title} did not respond. Registration continues, and people who are \
                 already signed in are not affected. Try again in a minute.",
            ),
            (
                "El inicio de sesión institucional no responde",
                "No se inició su sesión porque {title} no respondió. La inscripción sigue funcionando y quienes ya \
                 iniciaron sesión pueden continuar. Intente de nuevo en un minuto.",
            ),
        ),
        Failure::Busy => of(
            ("Many people are signing in", "You have not been signed in yet. Try again in a few seconds."),
            ("Muchas personas están iniciando sesión", "Aún no ha iniciado sesión. Intente de nuevo en unos segundos."),
        ),
        Failure::NotStored => of(
            ("EduHub could not save your sign-in", "You have not been signed in yet. Try again in a few seconds."),
            (
                "EduHub no pudo guardar su inicio de sesión",
                "Aún no ha iniciado sesión. Intente de nuevo en unos segundos.",
            ),
        ),
        Failure::Misconfigured => of(
            (
                "The college sign-in is not set up correctly",
                "You were not signed in, because EduHub and {title} do not recognize each other. Trying again will not \
                 help until this is corrected.",
            ),
            (
                "El inicio de sesión institucional está mal configurado",
                "No se inició su sesión porque EduHub y {title} no se reconocen entre sí. Volver a intentarlo no servirá \
                 hasta que se corrija.",
            ),
        ),
        Failure::NotOpen
        | Failure::Denied
        | Failure::Invalid
        | Failure::NoUsername
        | Failure::NoRole
        | Failure::NameTaken { .. } => texts_of_refusal(failure, language),
    }
}

/// Returns the heading and the text when the provider responds, but the user is not signed in.
fn texts_of_refusal(failure: &Failure, language: Language) -> (&'static str, &'static str) {
    let of = |english, spanish| language.pick(english, spanish);
    match failure {
        Failure::NotOpen => of(
            (
                "This sign-in is no longer valid",
                "It took longer than 10 minutes, was already used, or began in another browser. Sign in again.",
            ),
            (
                "Este inicio de sesión ya no es válido",
                "Tardó más de 10 minutos, ya se utilizó o comenzó en otro navegador. Inicie sesión de nuevo.",
            ),
        ),
        Failure::Denied => of(
            ("You were not signed in", "{title} did not complete the sign-in. Sign in again."),
            ("No se inició su sesión", "{title} no completó el inicio de sesión. Inicie sesión de nuevo."),
        ),
        Failure::Invalid => of(
            (
                "The sign-in could not be verified",
                "You were not signed in, because the response from {title} is not valid. If this happens again, report \
                 it.",
            ),
            (
                "No se pudo verificar el inicio de sesión",
                "No se inició su sesión porque la respuesta de {title} no es válida. Si vuelve a ocurrir, avísenos.",
            ),
        ),
        Failure::NoUsername => of(
            (
                "Your account has no username",
                "You were not signed in, because {title} sent no username that EduHub can use.",
            ),
            (
                "Su cuenta no tiene nombre de usuario",
                "No se inició su sesión porque {title} no envió un nombre de usuario que EduHub pueda usar.",
            ),
        ),
        Failure::NoRole => of(
            (
                "Your account cannot use EduHub",
                "Your college account has no role in EduHub, so you were not signed in.",
            ),
            (
                "Su cuenta no puede usar EduHub",
                "Su cuenta institucional no tiene un rol en EduHub, por lo que no se inició su sesión.",
            ),
        ),
        Failure::NameTaken { owner, .. } => name_taken(owner, language),
        Failure::UnknownProvider
        | Failure::Unavailable
        | Failure::Busy
        | Failure::NotStored
        | Failure::Misconfigured => texts(failure, language),
    }
}

fn name_taken(owner: &NameOwner, language: Language) -> (&'static str, &'static str) {
    let heading = language.pick("Your username is already in use", "Su nombre de usuario ya está en uso");
    let what = match owner {
        NameOwner::LocalAccount => language.pick(
            "The username {username} belongs to a local EduHub account, so you were not signed in.",
            "El nombre de usuario {username} pertenece a una cuenta local de EduHub, por lo que no se inició su sesión.",
        ),
        NameOwner::OtherSource(_) => language.pick(
            "The username {username} belongs to someone who signs in to EduHub in another way, so you were not signed in.",
            "El nombre de usuario {username} pertenece a alguien que inicia sesión en EduHub de otra forma, por lo que no \
             se inició su sesión.",
        ),
        NameOwner::OtherPerson => language.pick(
            "The username {username} belonged to another person before, so you were not signed in.",
            "El nombre de usuario {username} pertenecía antes a otra persona, por lo que no se inició su sesión.",
        ),
    };
    (heading, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::ACCEPT_LANGUAGE;
    use actix_web::test::TestRequest;

    fn page(failure: &Failure, language: &str, title: &str, help: &str) -> String {
        let req = TestRequest::get().insert_header((ACCEPT_LANGUAGE, language)).to_http_request();
        FailurePage::new(&req, Some(title), help, "/staff?a=1&b=2").at("/auth/idp/login").html(failure)
    }

    #[test]
    fn pages_are_in_the_language_of_the_browser() {
        for (accepted, expected) in [("es-MX,en;q=0.5", "es"), ("fr, en", "en"), ("", "en"), ("de", "en")] {
            let html = page(&Failure::NoRole, accepted, "IdP", "");
            assert!(html.contains(&format!("<html lang=\"{expected}\">")), "{accepted}");
        }
    }

    #[test]
    fn each_failure_says_whom_to_ask_and_escapes_its_values() {
        let taken = |owner| Failure::NameTaken { username: "<b>ann".to_owned(), owner };
        let all = [
            Failure::UnknownProvider,
            Failure::Unavailable,
            Failure::Busy,
            Failure::NotStored,
            Failure::Misconfigured,
            Failure::NotOpen,
            Failure::Denied,
            Failure::Invalid,
            Failure::NoUsername,
            Failure::NoRole,
            taken(NameOwner::LocalAccount),
            taken(NameOwner::OtherSource("plone".to_owned())),
            taken(NameOwner::OtherPerson),
        ];
        for failure in all {
            for language in ["en", "es"] {
                let html = page(&failure, language, "<script>", "Help & Desk");
                assert!(html.contains("Help &amp; Desk"), "{html}");
                assert!(!html.contains("<script") && !html.contains("<b>") && !html.contains('{'), "{html}");
            }
        }
    }
}
