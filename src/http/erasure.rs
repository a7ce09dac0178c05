//! Erasure of a person (admins): what has to stay gets a pseudonym, and the rest is deleted.

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::domain::ids::{TermId, UserName};
use crate::identity::accounts::Removal;
use crate::identity::{Audit, Identity};
use crate::live::context::Live;
use crate::registration::student_facts::StudentFactsWriter;
use crate::store::privacy::{Erasure, ErasureOutcome, PrivacyStore};

use crate::http::auth::Admin;
use crate::http::error::{Problem, method_not_allowed};
use crate::http::openapi::responses::{BadPath, BadRole, NotFound, StoreFailed};
use crate::http::problem::ProblemCode;
use crate::http::query::path_param;
use crate::http::request_id::PRIVATE;
use crate::http::students::problem_of;
use crate::http::users::last_admin;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(erase))]
pub(super) struct Api;

/// Registers the resource of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/admin/users/{name}/erase")
            .route(web::post().to(erase))
            .default_service(method_not_allowed("POST")),
    );
}

/// An erasure.
#[derive(Serialize, ToSchema)]
struct Erased {
    /// The name that replaces the username in what stays.
    pseudonym: UserName,
    /// The terms whose registrations and attempts now have the pseudonym.
    terms: Vec<TermId>,
}

/// Erases a person (admins).
///
/// Deletes the account, the plans, the facts about a student and the stored sign-ins, and signs the person out. In
/// registrations of ended terms, attempts, alerts, acknowledgements, import tasks and the audit trail, a random
/// pseudonym replaces the username, so that all counts stay correct. Refused with `still_registered` while the person
/// is enrolled or waitlisted, or is offered a seat, in a term that has not ended.
#[utoipa::path(
    post,
    path = "/api/v1/admin/users/{name}/erase",
    operation_id = "eraseUser",
    tag = "administration",
    params(("name" = UserName, Path, description = "The person.")),
    responses(
        (status = 200, description = "Erased.", body = Erased),
        (status = 409, description = "`still_registered`: the person is registered in a term that has not ended.",
            body = crate::http::problem::ProblemDocument, content_type = "application/problem+json"),
        BadRole, BadPath, NotFound, StoreFailed,
    )
)]
pub async fn erase(
    request: HttpRequest,
    Admin(admin): Admin,
    identity: Data<Identity>,
    privacy: Data<dyn PrivacyStore>,
    facts: Data<StudentFactsWriter>,
    live: Data<Live>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let unknown = || Problem::not_found("Nothing is stored about a person with this username.");
    let user = identity.resolve(&path_param(&request, "name")?).map_err(|_| unknown())?;
    if user == admin.user {
        return Err(Problem::invalid("name", "You cannot erase yourself. Ask another administrator."));
    }
    let now = live.local(live.clock.now());
    refuse_if_registered(&privacy.current_terms_of(&user, now.clone()).await?)?;
    let login = privacy.record_of(&user).await?.provider.map(|provider| provider.login);
    // This comes before the erasure, so that the person can neither register nor sign in while it runs.
    if identity.remove_sign_in(&user).await? == Removal::LastAdmin {
        return Err(last_admin("name"));
    }
    let record = privacy.record_of(&user).await?;
    let mut terms: Vec<TermId> = record.registrations.into_iter().map(|(term, _)| term).collect();
    terms.extend(record.attempt_terms);
    // Queued acknowledgements, queued audit entries, and the entries of open disclosure windows have the username.
    live.acks.flush().await;
    audit.finish().await;
    let pseudonym = pseudonym()?;
    let erasure = Erasure { user: user.clone(), login, pseudonym: pseudonym.clone(), now };
    let terms = match facts.pool().paused(&terms, privacy.erase(erasure)).await? {
        ErasureOutcome::Unknown => return Err(unknown()),
        ErasureOutcome::Registered(terms) => {
            refuse_if_registered(&terms)?;
            return Err(unknown());
        }
        ErasureOutcome::Erased(terms) => terms,
    };
    // The terms in which the person was not registered still have the facts in memory.
    facts.put([(user, None)].into(), None).await.map_err(problem_of)?;
    // The alerts in memory still have the username.
    live.tail.forget();
    audit.record(&request, Some(&admin), "user.erase", Some(pseudonym.as_str()), None, "").await;
    audit.flush().await;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(Erased { pseudonym, terms }))
}

/// Returns a new pseudonym. It is random, so that it cannot be traced to the username.
fn pseudonym() -> Result<UserName, Problem> {
    UserName::parse(&format!("erased-{:016x}", rand::random::<u64>())).map_err(Problem::internal)
}

fn refuse_if_registered(terms: &[TermId]) -> Result<(), Problem> {
    if terms.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = terms.iter().map(TermId::as_str).collect();
    let detail = format!(
        "This person is enrolled or waitlisted, or has been offered a seat, in a term that has not ended: {}. Nothing \
         was erased.",
        names.join(", ")
    );
    Err(Problem::new(ProblemCode::StillRegistered, detail))
}
