//! The pages and their files, which are embedded in the binary.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use rust_embed::RustEmbed;

use crate::clock::Clock;
use crate::http::encoded::{Encoded, tag_of};
use crate::http::error::Problem;
use crate::http::joined_modules::{self, Modules};
use crate::http::preloads;
use crate::http::query::path_param;
use crate::registration::readmodel::ReadModel;

#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

/// `Cache-Control` of the files: browsers revalidate them each time, which costs a 304 of a few bytes, so that an old
/// page never uses a new hub.
const REVALIDATE: &str = "no-cache";

/// The response for each file, by its path under `static/`.
static FILES: LazyLock<HashMap<String, Arc<Encoded>>> = LazyLock::new(|| {
    let files = Files::iter().filter_map(|path| Some((path.to_string(), Files::get(&path)?)));
    files
        .map(|(path, file)| {
            let tag: String = file.metadata.sha256_hash()[..8].iter().fold(String::new(), |mut tag, byte| {
                // Writing to a string cannot fail.
                let _ = write!(tag, "{byte:02x}");
                tag
            });
            let response = Encoded::lasting(&tag, media_type(&path), REVALIDATE, served(&path, &file.data));
            (path, Arc::new(response))
        })
        .chain(modules_of_student_page())
        .collect()
});

/// Returns the responses for the modules of the student's page; see [`joined_modules`].
fn modules_of_student_page() -> impl Iterator<Item = (String, Arc<Encoded>)> {
    let sources: Modules = Files::iter()
        .filter_map(|path| Some((path.strip_prefix("js/")?.to_owned(), Files::get(&path)?)))
        .filter_map(|(path, file)| Some((path, without_comments(std::str::from_utf8(&file.data).ok()?))))
        .collect();
    joined_modules::of_student_page(&sources).into_iter().map(|(path, text)| {
        let tag = tag_of(text.as_bytes());
        let response = Encoded::lasting(&tag, media_type(&path), REVALIDATE, text.into());
        // Relative to `/static/`, like the other paths in `FILES`.
        (format!("{}{path}", joined_modules::BASE.trim_start_matches("/static/")), Arc::new(response))
    })
}

/// Returns a file as it is sent: scripts and styles without their comments, which would be a fifth of the first page
/// view.
fn served(path: &str, data: &[u8]) -> Bytes {
    match std::str::from_utf8(data) {
        Ok(text) if path.ends_with(".js") || path.ends_with(".css") => without_comments(text).into(),
        _ => Bytes::copy_from_slice(data),
    }
}

/// Removes comments that fill whole lines. A test checks that no template literal of the scripts contains such a line.
fn without_comments(text: &str) -> String {
    let (mut code, mut is_comment) = (String::with_capacity(text.len()), false);
    for line in text.split_inclusive('\n') {
        let content = line.trim();
        is_comment |= content.starts_with("/*");
        if is_comment {
            is_comment = !content.ends_with("*/");
        } else if !content.starts_with("//") {
            code.push_str(line);
        }
    }
    code
}

/// Returns the media type of a file by the ending of its name.
pub(super) fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

async fn respond(request: &HttpRequest, path: &str) -> Result<HttpResponse, Problem> {
    let file = FILES.get(path).ok_or_else(|| Problem::not_found("There is no such page."))?;
    Ok(file.clone().respond(request).await)
}

/// `GET /`
pub async fn student_page(
    request: HttpRequest,
    model: Data<ReadModel>,
    clock: Data<dyn Clock>,
) -> Result<HttpResponse, Problem> {
    let mut response = respond(&request, "index.html").await?;
    preloads::add(&request, response.headers_mut(), &model, clock.now());
    Ok(response)
}

/// `GET /staff`
pub async fn staff_page(request: HttpRequest) -> Result<HttpResponse, Problem> {
    respond(&request, "staff.html").await
}

/// `GET /admin`
pub async fn admin_page(request: HttpRequest) -> Result<HttpResponse, Problem> {
    respond(&request, "admin.html").await
}

/// `GET /account`
pub async fn account_page(request: HttpRequest) -> Result<HttpResponse, Problem> {
    respond(&request, "account.html").await
}

/// `GET /teaching`
pub async fn teaching_page(request: HttpRequest) -> Result<HttpResponse, Problem> {
    respond(&request, "teaching.html").await
}

/// `GET /shared`: the page that a link to a student's schedule opens.
pub async fn shared_page(request: HttpRequest) -> Result<HttpResponse, Problem> {
    respond(&request, "shared.html").await
}

/// `GET /demonstration`: the page that a link to the report of a demonstration opens.
pub async fn demonstration_page(request: HttpRequest) -> Result<HttpResponse, Problem> {
    respond(&request, "demonstration.html").await
}

/// Returns the API page without a content policy; [`api_docs`](crate::http::api_docs) sets one.
pub(super) async fn api_page(request: HttpRequest) -> Result<HttpResponse, Problem> {
    respond(&request, "api.html").await
}

/// `GET /static/{path}`
pub async fn file(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let path = path_param(&request, "path")?;
    respond(&request, &path).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_that_fill_whole_lines_are_removed() {
        let script = "// What it is.\nimport a from \"//b\"; // why\n\n  /** One. */\n  /**\n   * Several,\n   * lines. */\n\
                      x = `//`;\n  // last\n";
        assert_eq!(without_comments(script), "import a from \"//b\"; // why\n\nx = `//`;\n");
        assert_eq!(without_comments("/* a\n   b */\n.c { d: e; /* f */ }"), ".c { d: e; /* f */ }");
    }

    #[test]
    fn comments_of_pages_are_neither_in_template_literals_nor_before_code() {
        for path in Files::iter().filter(|path| path.ends_with(".js") || path.ends_with(".css")) {
            let file = Files::get(&path).unwrap();
            let text = std::str::from_utf8(&file.data).unwrap();
            let mut start = 0;
            for line in text.split_inclusive('\n') {
                let (content, before) = (line.trim(), without_comments(&text[..start]));
                if content.starts_with("//") || content.starts_with("/*") {
                    assert!(before.matches('`').count().is_multiple_of(2), "{path}: {line}");
                    assert!(content.find("*/").is_none_or(|end| end + 2 == content.len()), "{path}: {line}");
                }
                start += line.len();
            }
        }
    }
}
