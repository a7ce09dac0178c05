//! The page to which the `type` of every problem document points, in the language of the browser.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use actix_web::http::header::{HeaderValue, VARY};
use actix_web::{HttpRequest, HttpResponse};

use crate::domain::language::Language;
use crate::domain::refusal::RefusalCode;
use crate::http::encoded::Encoded;
use crate::http::error::Problem;
use crate::http::message_page::{document, language_of};
use crate::http::problem::ProblemCode;

/// `GET /docs/problems`: explains each code.
pub(super) async fn problems(request: HttpRequest) -> Result<HttpResponse, Problem> {
    static ENGLISH: LazyLock<Arc<Encoded>> = LazyLock::new(|| page(Language::English));
    static SPANISH: LazyLock<Arc<Encoded>> = LazyLock::new(|| page(Language::Spanish));
    let page = language_of(&request).pick(&*ENGLISH, &*SPANISH);
    let mut response = page.clone().respond(&request).await;
    response.headers_mut().append(VARY, HeaderValue::from_static("Accept-Language"));
    Ok(response)
}

fn page(language: Language) -> Arc<Encoded> {
    let tag = format!("{}-{}", env!("CARGO_PKG_VERSION"), language.code());
    Arc::new(Encoded::lasting(&tag, "text/html; charset=utf-8", "no-cache", html(language).into()))
}

fn html(language: Language) -> String {
    let heading = language.pick("Problems", "Problemas");
    let introduction = language.pick(
        "Every error of the API is a problem document (RFC 9457) with one of these codes.",
        "Todo error de la API es un documento de problema (RFC 9457) con uno de estos códigos.",
    );
    let status = language.pick("status", "estado");
    let mut sections = String::new();
    for code in ProblemCode::all() {
        let (title, advice) = language.pick((code.title(), advice(code)), spanish(code));
        // Writing to a string cannot fail. Titles and advice are constants without HTML's special characters.
        let _ = write!(
            sections,
            "<section id=\"{name}\"><h2><code>{name}</code></h2><p>{title} ({status} {number}). {advice}</p></section>",
            name = code.as_str(),
            number = code.status(),
        );
    }
    // A table of these texts would be wider than a phone.
    document(language, heading, &format!("<p>{introduction}</p>{sections}"))
}

/// Returns what the reader can do next.
const fn advice(code: ProblemCode) -> &'static str {
    match code {
        ProblemCode::BadRequest | ProblemCode::BodyLate => {
            "Correct the request: “field” names the value that has the wrong type."
        }
        ProblemCode::Unauthenticated => "Sign in again, or send a valid token.",
        ProblemCode::BadCredentials => "Check the username and the password.",
        ProblemCode::SecondFactorRequired => {
            "Send “code” with the newest code from your authenticator app, or a recovery code."
        }
        ProblemCode::SecondFactorExists => "Remove the second factor before you set up another one.",
        ProblemCode::Forbidden => {
            "Use an account with the required role, or send the request from the hub's own pages."
        }
        ProblemCode::NotFound => "Check the address.",
        ProblemCode::MethodNotAllowed => "Use one of the methods in the header Allow.",
        ProblemCode::TooLarge => "Send a smaller body: “bytes_max” is the limit.",
        ProblemCode::UnsupportedMediaType => "Send a content type that the OpenAPI document describes.",
        ProblemCode::UpgradeRequired => "Use the WebSocket version in the header Sec-WebSocket-Version.",
        ProblemCode::Invalid => "Correct the value that “field” names.",
        ProblemCode::RateLimited => "Wait for the number of seconds in the header Retry-After.",
        ProblemCode::Internal | ProblemCode::DiskFull => {
            "Report the request ID to the college's administrators. A change is made completely or not at all."
        }
        ProblemCode::Overloaded => "Nothing was changed. Retry after the number of seconds in the header Retry-After.",
        ProblemCode::OutcomeUnknown => "Check the current state before you retry.",
        ProblemCode::PloneUnavailable | ProblemCode::PloneLate => {
            "Try again later. Registration and alerts work without Plone."
        }
        ProblemCode::ProfileBuiltIn => {
            "Save the profile under another name. A saved profile takes precedence over a built-in one."
        }
        ProblemCode::StillRegistered => "Drop the person's sections first, or wait until the term has ended.",
        ProblemCode::SwapRefused => {
            "Nothing was changed. Another part of the swap was refused; its problem states the reason."
        }
        ProblemCode::CreditMin => "Add sections to the plan, or ask the registrar's office to lower the minimum.",
        ProblemCode::Refused(RefusalCode::RegistrationClosed) => {
            "Register between “opens_at” and “closes_at”. After a deadline, contact the registrar's office."
        }
        ProblemCode::Refused(RefusalCode::Hold) => "Ask the office that is named in “holds” to lift the hold.",
        ProblemCode::Refused(RefusalCode::SectionCancelled | RefusalCode::SectionClosed) => "Choose another section.",
        ProblemCode::Refused(RefusalCode::AlreadyInCourse) => "Swap with the section in “conflicts_with”.",
        ProblemCode::Refused(RefusalCode::Prerequisite) => {
            "Take the courses in “unmet” first, or ask the department for permission."
        }
        ProblemCode::Refused(RefusalCode::RepeatLimit) => {
            "Ask the registrar's office whether you may take the course again."
        }
        ProblemCode::Refused(RefusalCode::LinkedSectionRequired) => {
            "Add the section and one of each kind in “choices” in one request."
        }
        ProblemCode::Refused(RefusalCode::Restricted) => {
            "Choose another section, or ask the department: “restrictions” lists the conditions that are not met."
        }
        ProblemCode::Refused(RefusalCode::TimeConflict) => "Drop the sections in “conflicts_with”, or swap with them.",
        ProblemCode::Refused(RefusalCode::CreditLimit) => {
            "Drop a section, or ask the registrar's office to raise your credit limit."
        }
        ProblemCode::Refused(RefusalCode::SectionFull) => {
            "Join the waitlist if “waitlist_open” is true, or choose another section."
        }
        ProblemCode::Refused(RefusalCode::WaitlistFull) => "Choose another section.",
    }
}

/// Returns the title of a problem and what the reader can do next, in Spanish.
const fn spanish(code: ProblemCode) -> (&'static str, &'static str) {
    match code {
        ProblemCode::BadRequest | ProblemCode::BodyLate => {
            ("No se pudo leer la solicitud", "Corrija la solicitud: «field» indica el valor cuyo tipo no es correcto.")
        }
        ProblemCode::Unauthenticated => {
            ("Se requiere iniciar sesión", "Inicie sesión de nuevo o envíe un token válido.")
        }
        ProblemCode::BadCredentials => {
            ("Nombre de usuario o contraseña incorrectos", "Revise el nombre de usuario y la contraseña.")
        }
        ProblemCode::SecondFactorRequired => (
            "Se requiere un código de un solo uso",
            "Envíe «code» con el código más reciente de su aplicación de autenticación, o un código de recuperación.",
        ),
        ProblemCode::SecondFactorExists => {
            ("La cuenta ya tiene un segundo factor", "Elimine el segundo factor antes de configurar otro.")
        }
        ProblemCode::Forbidden => {
            ("No permitido", "Use una cuenta con el rol necesario o envíe la solicitud desde las páginas del hub.")
        }
        ProblemCode::NotFound => ("No encontrado", "Revise la dirección."),
        ProblemCode::MethodNotAllowed => ("Método no permitido", "Use uno de los métodos del encabezado Allow."),
        ProblemCode::TooLarge => ("Demasiado grande", "Envíe un cuerpo más pequeño: «bytes_max» es el límite."),
        ProblemCode::UnsupportedMediaType => {
            ("Formato no admitido", "Envíe un tipo de contenido que describa el documento OpenAPI.")
        }
        ProblemCode::UpgradeRequired => {
            ("Versión de WebSocket no admitida", "Use la versión de WebSocket del encabezado Sec-WebSocket-Version.")
        }
        ProblemCode::Invalid => ("Un valor no es válido", "Corrija el valor que indica «field»."),
        ProblemCode::RateLimited => {
            ("Demasiadas solicitudes", "Espere el número de segundos del encabezado Retry-After.")
        }
        ProblemCode::Internal | ProblemCode::DiskFull => (
            "Algo salió mal",
            "Comunique el ID de la solicitud a los administradores de la institución. Un cambio se realiza por completo \
             o no se realiza.",
        ),
        ProblemCode::Overloaded => (
            "El sistema está ocupado",
            "No se cambió nada. Intente de nuevo después del número de segundos del encabezado Retry-After.",
        ),
        ProblemCode::OutcomeUnknown => {
            ("Se desconoce el resultado", "Verifique el estado actual antes de intentarlo de nuevo.")
        }
        ProblemCode::PloneUnavailable | ProblemCode::PloneLate => (
            "El sitio web de la institución no responde",
            "Intente más tarde. La inscripción y las alertas funcionan sin Plone.",
        ),
        ProblemCode::ProfileBuiltIn => (
            "El perfil está incluido en EduHub",
            "Guarde el perfil con otro nombre. Un perfil guardado tiene precedencia sobre uno incluido.",
        ),
        ProblemCode::StillRegistered => (
            "La persona sigue inscrita",
            "Primero dé de baja las secciones de la persona o espere a que termine el período.",
        ),
        ProblemCode::SwapRefused => (
            "El cambio no se realizó",
            "No se modificó nada. Se rechazó otra parte del cambio; su problema indica el motivo.",
        ),
        ProblemCode::CreditMin => {
            ("Muy pocos créditos", "Agregue secciones al plan o pida a la oficina de registro que reduzca el mínimo.")
        }
        ProblemCode::Refused(code) => spanish_refusal(code),
    }
}

/// Returns the title of a refusal and what the student can do next, in Spanish.
const fn spanish_refusal(code: RefusalCode) -> (&'static str, &'static str) {
    match code {
        RefusalCode::RegistrationClosed => (
            "La inscripción no está abierta",
            "Inscríbase entre «opens_at» y «closes_at». Después de una fecha límite, comuníquese con la oficina de \
             registro.",
        ),
        RefusalCode::Hold => {
            ("Su cuenta tiene una retención", "Pida a la oficina indicada en «holds» que levante la retención.")
        }
        RefusalCode::SectionCancelled => ("La sección fue cancelada", "Elija otra sección."),
        RefusalCode::SectionClosed => ("La sección está cerrada", "Elija otra sección."),
        RefusalCode::AlreadyInCourse => {
            ("Ya tiene una sección de este curso", "Cambie la sección de «conflicts_with» por esta.")
        }
        RefusalCode::Prerequisite => {
            ("Falta un prerrequisito", "Tome primero los cursos de «unmet» o pida permiso al departamento.")
        }
        RefusalCode::RepeatLimit => (
            "Alcanzó el límite para repetir este curso",
            "Pregunte en la oficina de registro si puede tomar el curso otra vez.",
        ),
        RefusalCode::LinkedSectionRequired => (
            "Debe tomarse otra sección junto con esta",
            "Agregue en una misma solicitud la sección y una de cada tipo de «choices».",
        ),
        RefusalCode::Restricted => (
            "La sección no está abierta para usted",
            "Elija otra sección o consulte al departamento: «restrictions» indica las condiciones que no se cumplen.",
        ),
        RefusalCode::TimeConflict => {
            ("La sección choca con otra", "Dé de baja las secciones de «conflicts_with» o cámbielas por esta.")
        }
        RefusalCode::CreditLimit => (
            "Se superó el límite de créditos",
            "Dé de baja una sección o pida a la oficina de registro que aumente su límite de créditos.",
        ),
        RefusalCode::SectionFull => {
            ("La sección está llena", "Entre en la lista de espera si «waitlist_open» es true, o elija otra sección.")
        }
        RefusalCode::WaitlistFull => ("La lista de espera está llena", "Elija otra sección."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::to_bytes;
    use actix_web::http::header::ACCEPT_LANGUAGE;
    use actix_web::test::TestRequest;

    #[actix_web::test]
    async fn the_page_is_in_the_language_of_the_browser() {
        for (accepted, code) in [("es-MX,es;q=0.9,en;q=0.8", "es"), ("en-US", "en")] {
            let request = TestRequest::default().insert_header((ACCEPT_LANGUAGE, accepted)).to_http_request();
            let response = problems(request).await.unwrap();
            assert!(response.headers().get_all(VARY).any(|value| value == "Accept-Language"), "{accepted}");
            let body = to_bytes(response.into_body()).await.unwrap_or_default();
            let page = String::from_utf8(body.to_vec()).unwrap();
            assert!(page.contains(&format!("<html lang=\"{code}\">")), "{page}");
        }
    }

    #[test]
    fn each_code_is_explained_in_both_languages() {
        let pages = Language::ALL.map(html);
        for code in ProblemCode::all() {
            let section = format!("<section id=\"{}\">", code.as_str());
            assert!(pages.iter().all(|page| page.contains(&section)), "{section}");
            let (title, advice) = spanish(code);
            assert_ne!(title, code.title());
            assert!(pages[1].contains(title) && pages[1].contains(advice), "{title}");
        }
    }

    #[test]
    fn the_texts_need_no_escaping() {
        for code in ProblemCode::all() {
            let (title, advice_es) = spanish(code);
            for text in [code.title(), advice(code), title, advice_es] {
                assert!(!text.contains(['<', '>', '&', '"']), "{text}");
            }
        }
    }
}
