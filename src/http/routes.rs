//! The table of routes. Most resources register their own in a function `routes`; this file has the others.

use actix_web::Resource;
use actix_web::web::{ServiceConfig, delete, patch, post, put, resource, to};

use crate::http::error::{get, method_not_allowed, not_found};
use crate::http::{
    activity, alert_feeds, alerts, announcements, api_docs, assets, attempts, charts, dashboard, demand, demo,
    demo_reports, erasure, events, guardian_links, health, hubs, import_profiles, imports, live, my_data,
    oneroster_export, openapi, own_account, permits, plan, plan_check, plone_admin, problems_page, proxy, receipts,
    registrations, rehearsals, roster, schedule_calendar, schedule_export, section_moves, sections, sessions, sign_in,
    sso, stream, student_imports, student_lookup, student_registrations, students, teaching, terms, users,
};

const READ: &str = "GET, HEAD";

/// Returns a resource that responds with 405 to methods other than `allow`.
fn path(path: &str, allow: &'static str) -> Resource {
    resource(path.to_owned()).default_service(method_not_allowed(allow))
}

/// Registers every route of the hub.
pub fn routes(app: &mut ServiceConfig) {
    app.configure(sign_in::routes)
        .configure(sso::routes)
        .configure(own)
        .configure(own_account::routes)
        .configure(guardian_links::routes)
        .configure(schedule_calendar::routes)
        .configure(catalogue)
        .configure(roster::routes)
        .configure(teaching::routes)
        .configure(student_imports::routes)
        .configure(students::routes)
        .configure(student_lookup::routes)
        .configure(student_registrations::routes)
        .configure(section_moves::routes)
        .configure(permits::routes)
        .configure(attempts::routes)
        .configure(schedule_export::routes)
        .configure(oneroster_export::routes)
        .configure(activity::routes)
        .configure(demand::routes)
        .configure(rehearsals::routes)
        .configure(imports::routes)
        .configure(import_profiles::routes)
        .configure(events::routes)
        .configure(alerts::routes)
        .configure(alert_feeds::routes)
        .configure(receipts::routes)
        .configure(announcements::routes)
        .configure(dashboard::routes)
        .configure(demo::routes)
        .configure(demo_reports::routes)
        .configure(plone_admin::routes)
        .configure(live::routes)
        .configure(stream::routes)
        .configure(sessions::routes)
        .configure(hubs::routes)
        .configure(users::routes)
        .configure(erasure::routes)
        .configure(my_data::routes)
        .configure(charts::routes)
        .configure(health::routes)
        .configure(api_docs::routes)
        .configure(proxy::routes)
        .configure(pages)
        .default_service(to(not_found));
}

fn catalogue(app: &mut ServiceConfig) {
    app.service(path("/api/v1/terms", READ).route(get().to(terms::list)))
        .service(path("/api/v1/terms/{id}", "PUT").route(put().to(terms::put)))
        .service(path("/api/v1/seats", READ).route(get().to(sections::seats)))
        .service(path("/api/v1/sections", READ).route(get().to(sections::list)))
        .service(
            path("/api/v1/sections/{id}", "GET, HEAD, PATCH")
                .route(get().to(sections::one))
                .route(patch().to(sections::patch)),
        );
}

fn own(app: &mut ServiceConfig) {
    app.service(
        path("/api/v1/me/registrations/{section}", "PUT, DELETE")
            .route(put().to(registrations::register))
            .route(delete().to(registrations::drop_one)),
    )
    .service(
        path("/api/v1/me/registrations", "GET, HEAD, POST")
            .route(get().to(registrations::list))
            .route(post().to(registrations::batch)),
    )
    .service(path("/api/v1/me/plan", "GET, HEAD, PUT").route(get().to(plan::get)).route(put().to(plan::put)))
    .service(path("/api/v1/me/plan/register", "POST").route(post().to(plan::register)))
    .service(path("/api/v1/me/plan/check", "POST").route(post().to(plan_check::check)))
    .service(path("/api/v1/me/plans", READ).route(get().to(plan::list)))
    .service(
        path("/api/v1/me/plans/{name}", "GET, HEAD, PUT, DELETE")
            .route(get().to(plan::one))
            .route(put().to(plan::put_one))
            .route(delete().to(plan::remove)),
    );
}

fn pages(app: &mut ServiceConfig) {
    app.service(path("/", READ).route(get().to(assets::student_page)))
        .service(path("/staff", READ).route(get().to(assets::staff_page)))
        .service(path("/admin", READ).route(get().to(assets::admin_page)))
        .service(path("/account", READ).route(get().to(assets::account_page)))
        .service(path("/teaching", READ).route(get().to(assets::teaching_page)))
        .service(path("/demonstration", READ).route(get().to(assets::demonstration_page)))
        .service(path("/shared", READ).route(get().to(assets::shared_page)))
        .service(path("/static/{path:.*}", READ).route(get().to(assets::file)))
        .service(path("/api/v1/openapi.json", READ).route(get().to(openapi::serve)))
        .service(path("/docs/problems", READ).route(get().to(problems_page::problems)));
}
