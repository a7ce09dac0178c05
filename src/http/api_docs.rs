//! The page on which the operations of the API can be read and tried. It shows the OpenAPI document in Swagger UI,
//! whose files are part of the program.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use actix_web::http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use utoipa_swagger_ui::Config;

use crate::http::assets::{api_page, media_type};
use crate::http::encoded::Encoded;
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::query::path_param;

/// `Content-Security-Policy` of the page: like that of other pages, but Swagger UI uses `innerHTML`, inline styles and
/// `data:` images.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
/// The files of Swagger UI that the page loads.
const NAMES: [&str; 4] =
    ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js", "swagger-initializer.js"];
/// `Cache-Control` of the files: browsers revalidate them each time, like the files of other pages.
const REVALIDATE: &str = "no-cache";

/// The response for each of [`NAMES`].
static FILES: LazyLock<BTreeMap<&'static str, Arc<Encoded>>> = LazyLock::new(|| {
    // "none": the page sends the document to no other server for validation.
    let config = Config::new(["/api/v1/openapi.json"]).validator_url("none").deep_linking(true).filter(true);
    // Without the bar at the top: the page has one document, and it follows the colors of the system.
    let config = config.use_base_layout();
    let config = Arc::new(config.display_request_duration(true));
    // A missing file is found by a test.
    let file = |name: &'static str| Some((name, utoipa_swagger_ui::serve(name, config.clone()).ok()??));
    let files = NAMES.into_iter().filter_map(file);
    files
        .map(|(name, file)| {
            let bytes = Bytes::from(file.bytes.into_owned());
            // Compressed fast: the highest levels take seconds for these files, which few people load.
            (name, Arc::new(Encoded::new(env!("CARGO_PKG_VERSION"), media_type(name), REVALIDATE, bytes)))
        })
        .collect()
});

/// Registers the page and its files.
pub fn routes(cfg: &mut ServiceConfig) {
    let read = || method_not_allowed("GET, HEAD");
    cfg.service(actix_web::web::resource("/docs").route(get().to(page)).default_service(read()))
        .service(actix_web::web::resource("/docs/ui/{name}").route(get().to(file)).default_service(read()));
}

/// `GET /docs`
pub async fn page(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut response = api_page(request).await?;
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY);
    Ok(response)
}

/// `GET /docs/ui/{name}`
pub async fn file(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let name = path_param(&request, "name")?;
    let file = FILES.get(name.as_str()).ok_or_else(|| Problem::not_found("There is no such file."))?;
    Ok(file.clone().respond(&request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_exists() {
        assert_eq!(FILES.keys().count(), NAMES.len());
    }
}
