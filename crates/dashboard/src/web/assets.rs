//! The page's files, within the binary.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

macro_rules! assets {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_bytes!(concat!("../../assets/", $path)).as_slice())),*]
    };
}

const ASSETS: &[(&str, &[u8])] = assets![
    "api.js",
    "app.css",
    "banner.js",
    "charts.js",
    "colours.js",
    "dom.js",
    "finder.js",
    "format.js",
    "history.js",
    "index.html",
    "json.js",
    "live.js",
    "main.js",
    "mark.js",
    "message.js",
    "panel.js",
    "particles.js",
    "pipeline.css",
    "pipeline.js",
    "pipes.js",
    "points.js",
    "streams.js",
    "theme.js",
    "vendor/uplot/LICENSE",
    "vendor/uplot/VERSION",
    "vendor/uplot/uPlot.iife.min.js",
    "vendor/uplot/uPlot.min.css",
    "views/data.js",
    "views/dead-letters.js",
    "views/overview.js",
    "views/services.js",
    "views/stream.js",
    "views/tables.js",
    "views/topics.js",
];

/// The file of that path below `assets`.
pub(super) fn answer(path: &str) -> Response {
    match ASSETS.iter().find(|(known, _)| *known == path) {
        Some((_, bytes)) => ([(header::CONTENT_TYPE, kind(path))], *bytes).into_response(),
        None => (StatusCode::NOT_FOUND, "there is no such file\n").into_response(),
    }
}

fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn files(folder: &Path, found: &mut Vec<String>) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found);
            } else {
                found.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }

    // A module that is not preloaded is asked for only when another one that needs it has come.
    #[test]
    fn every_module_is_preloaded_by_the_page() {
        let page =
            std::str::from_utf8(ASSETS.iter().find(|(path, _)| *path == "index.html").unwrap().1).unwrap();
        for (path, _) in ASSETS.iter().filter(|(path, _)| path.ends_with(".js")) {
            assert!(page.contains(&format!("\"/assets/{path}\"")), "{path}");
        }
    }

    #[test]
    fn every_file_of_the_folder_is_served_and_all_of_them_are_small() {
        let mut found = Vec::new();
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets"), &mut found);
        found.sort_unstable();
        let mut known: Vec<&str> = ASSETS.iter().map(|(path, _)| *path).collect();
        known.sort_unstable();
        assert_eq!(known, found);
        let bytes: usize = ASSETS.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(bytes <= 300_000, "the page has {bytes} bytes");
    }
}
