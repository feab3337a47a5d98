//! The demo application's page: who it was told is calling.

use http::HeaderMap;
use std::fmt::Write as _;

/// Header, Japanese label, English label.
const ROWS: [(&str, &str, &str); 10] = [
    ("x-sekisho-contract-id", "契約者ID", "Contract ID"),
    ("x-sekisho-user-id", "利用者ID", "User ID"),
    ("x-sekisho-common-name", "コモンネーム", "Common name"),
    ("x-sekisho-serial", "シリアル番号", "Serial number"),
    ("x-sekisho-issuer", "発行者", "Issuer"),
    ("x-sekisho-not-before", "有効期間(開始)", "Valid from"),
    ("x-sekisho-not-after", "有効期限", "Valid until"),
    ("x-sekisho-days-left", "残り日数", "Days left"),
    ("x-sekisho-fingerprint", "フィンガープリント", "Fingerprint (SHA-256)"),
    ("x-sekisho-verification", "検証結果", "Verification"),
];

/// The page as HTML, Japanese first.
pub(super) fn render(headers: &HeaderMap) -> String {
    let mut rows = String::new();
    for (header, japanese, english) in ROWS {
        let value = headers.get(header).map_or_else(
            || "<em>なし / none</em>".to_owned(),
            |value| escape(&String::from_utf8_lossy(value.as_bytes())),
        );
        // Writing to a String cannot fail.
        let _ = writeln!(rows, "<tr><th>{japanese}<br><small>{english}</small><td><code>{header}</code><td>{value}");
    }
    format!(
        "<!doctype html>\n<html lang=ja><meta charset=utf-8><title>デモ IB / Demo IB</title>\n\
         <style>body{{font-family:sans-serif;margin:3em}}th{{text-align:left}}td,th{{padding:.3em 1em}}</style>\n\
         <h1>法人インターネットバンキング(デモ)</h1>\n<p lang=en>Corporate internet banking (demo)\n\
         <p>ゲートウェイから次の利用者として通知されました。<br><span lang=en>The gateway says that this is calling:</span>\n\
         <table>\n{rows}</table>\n</html>\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_what_the_headers_say_and_nothing_they_do_not() {
        let mut headers = HeaderMap::new();
        headers.insert("x-sekisho-contract-id", "00009876543".parse().unwrap());
        headers.insert("x-sekisho-issuer", "CN=<script>".parse().unwrap());
        let page = render(&headers);
        assert!(page.contains("00009876543") && page.contains("契約者ID") && page.contains("Contract ID"));
        assert!(page.contains("CN=&lt;script&gt;") && !page.contains("<script>"));
        assert!(page.contains("<code>x-sekisho-user-id</code><td><em>なし"));
    }
}
