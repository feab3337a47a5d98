//! The words of what goes wrong beside certificates.

use super::Problem;
use super::Words;
use super::refusal_in_english;
use super::refusal_in_japanese;

pub(super) const fn in_japanese(problem: Problem) -> Words {
    match problem {
        // Refusals have their own words, above.
        Problem::Refused(reason) => refusal_in_japanese(reason),
        Problem::BadRequest => Words {
            title: "リクエストを受け付けられませんでした",
            detail: "送信された内容またはアドレス(URL)の形式が正しくありません。",
            next_steps: &["アドレスをご確認のうえ、サービスのトップページからもう一度操作してください。", SUPPORT_JA],
        },
        Problem::NotFound => Words {
            title: "ページが見つかりません",
            detail: "お探しのページは、移動または削除されたか、アドレス(URL)が間違っている可能性があります。",
            next_steps: &["アドレスをご確認のうえ、サービスのトップページからもう一度操作してください。"],
        },
        Problem::MethodNotAllowed => Words {
            title: "この操作は受け付けられません",
            detail: "このページでは、送信された操作をご利用いただけません。",
            next_steps: &["サービスのトップページからもう一度操作してください。", SUPPORT_JA],
        },
        Problem::RequestTimeout => Words {
            title: "送信が時間内に完了しませんでした",
            detail: "お客さまからの送信が途中で止まったため、受け付けを中止しました。",
            next_steps: &["ネットワークの接続をご確認のうえ、もう一度操作してください。", SUPPORT_JA],
        },
        Problem::ContentTooLarge => Words {
            title: "送信されたデータが大きすぎます",
            detail: "一度に送信できるデータの大きさを超えているため、受け付けられませんでした。",
            next_steps: &["ファイルを分割するなどして、データを小さくしてからもう一度送信してください。", SUPPORT_JA],
        },
        Problem::UriTooLong => Words {
            title: "アドレス(URL)が長すぎます",
            detail: "送信されたアドレスが長すぎるため、受け付けられませんでした。",
            next_steps: &["サービスのトップページからもう一度操作してください。", SUPPORT_JA],
        },
        Problem::Misdirected => Words {
            title: "接続先が正しくありません",
            detail: "現在の接続では、このアドレスのサービスをご利用いただけません。",
            next_steps: &[
                "ブラウザーの画面をすべて閉じてから開き直し、もう一度アクセスしてください。",
                "アドレスが正しいかご確認ください。",
            ],
        },
        Problem::TooManyRequests => Words {
            title: "アクセスの回数が上限を超えました",
            detail: "短い時間に多くのアクセスがあったため、一時的に受け付けを制限しています。",
            next_steps: &["しばらく待ってから、もう一度アクセスしてください。", SUPPORT_JA],
        },
        Problem::HeaderFieldsTooLarge => Words {
            title: "ブラウザーから送信された情報が大きすぎます",
            detail: "Cookie などの情報が大きすぎるため、受け付けられませんでした。",
            next_steps: &["このサービスの Cookie を削除してから、もう一度アクセスしてください。", SUPPORT_JA],
        },
        Problem::Internal => Words {
            title: "システムエラーが発生しました",
            detail: "サービスの内部でエラーが発生したため、処理を完了できませんでした。",
            next_steps: &[UNCERTAIN_JA, "しばらく待ってから、もう一度アクセスしてください。", SUPPORT_JA],
        },
        Problem::NotImplemented => Words {
            title: "送信の方式に対応していません",
            detail: "送信されたデータの転送方式は、このサービスでは利用できません。",
            next_steps: &["別のブラウザーまたはプログラムから、もう一度操作してください。", SUPPORT_JA],
        },
        Problem::BadGateway => Words {
            title: "サービスから正しい応答がありませんでした",
            detail: "サービスとの通信に失敗したため、処理の結果を表示できません。",
            next_steps: &[UNCERTAIN_JA, "しばらく待ってから、もう一度アクセスしてください。", SUPPORT_JA],
        },
        Problem::ServiceUnavailable => Words {
            title: "ただいまサービスをご利用いただけません",
            detail: "サービスが混み合っているか、停止しています。",
            next_steps: &["しばらく待ってから、もう一度アクセスしてください。", SUPPORT_JA],
        },
        Problem::GatewayTimeout => Words {
            title: "サービスからの応答がありません",
            detail: "サービスからの応答が時間内に得られなかったため、処理の結果を表示できません。",
            next_steps: &[UNCERTAIN_JA, "しばらく待ってから、もう一度アクセスしてください。", SUPPORT_JA],
        },
    }
}

pub(super) const fn in_english(problem: Problem) -> Words {
    match problem {
        // Refusals have their own words, above.
        Problem::Refused(reason) => refusal_in_english(reason),
        Problem::BadRequest => Words {
            title: "The request could not be accepted",
            detail: "What was sent, or the address (URL), is not in the right form.",
            next_steps: &["Check the address and start again from the top page of the service.", SUPPORT_EN],
        },
        Problem::NotFound => Words {
            title: "Page not found",
            detail: "The page may have been moved or removed, or the address (URL) may be wrong.",
            next_steps: &["Check the address and start again from the top page of the service."],
        },
        Problem::MethodNotAllowed => Words {
            title: "This operation is not accepted",
            detail: "This page does not take the operation that was sent.",
            next_steps: &["Start again from the top page of the service.", SUPPORT_EN],
        },
        Problem::RequestTimeout => Words {
            title: "Sending took too long",
            detail: "What you were sending stopped on its way, so it was not accepted.",
            next_steps: &["Check your network connection and try again.", SUPPORT_EN],
        },
        Problem::ContentTooLarge => Words {
            title: "The data is too large",
            detail: "What you sent is larger than what can be accepted at once.",
            next_steps: &["Make it smaller, for example by splitting the file, and send it again.", SUPPORT_EN],
        },
        Problem::UriTooLong => Words {
            title: "The address (URL) is too long",
            detail: "The address that was sent is too long to be accepted.",
            next_steps: &["Start again from the top page of the service.", SUPPORT_EN],
        },
        Problem::Misdirected => Words {
            title: "Wrong connection for this address",
            detail: "The service at this address cannot be used over the present connection.",
            next_steps: &[
                "Close every browser window, open the browser again and come back to this address.",
                "Check that the address is right.",
            ],
        },
        Problem::TooManyRequests => Words {
            title: "Too many requests",
            detail: "There were too many requests in a short time, so access is limited for a while.",
            next_steps: &["Wait a while and try again.", SUPPORT_EN],
        },
        Problem::HeaderFieldsTooLarge => Words {
            title: "Your browser sent too much information",
            detail: "Cookies or other information sent along with the request are too large to be accepted.",
            next_steps: &["Delete this service's cookies and try again.", SUPPORT_EN],
        },
        Problem::Internal => Words {
            title: "A system error occurred",
            detail: "An error inside the service kept it from completing your request.",
            next_steps: &[UNCERTAIN_EN, "Wait a while and try again.", SUPPORT_EN],
        },
        Problem::NotImplemented => Words {
            title: "The data was sent in an unsupported way",
            detail: "This service does not support the transfer coding in which the data was sent.",
            next_steps: &["Try again with another browser or program.", SUPPORT_EN],
        },
        Problem::BadGateway => Words {
            title: "The service did not answer properly",
            detail: "Communication with the service failed, so the result of your request cannot be shown.",
            next_steps: &[UNCERTAIN_EN, "Wait a while and try again.", SUPPORT_EN],
        },
        Problem::ServiceUnavailable => Words {
            title: "The service is not available at the moment",
            detail: "The service is busy or stopped.",
            next_steps: &["Wait a while and try again.", SUPPORT_EN],
        },
        Problem::GatewayTimeout => Words {
            title: "The service did not answer in time",
            detail: "The service did not answer in time, so the result of your request cannot be shown.",
            next_steps: &[UNCERTAIN_EN, "Wait a while and try again.", SUPPORT_EN],
        },
    }
}

const SUPPORT_JA: &str = "解消しない場合は、お問い合わせ番号を添えて銀行のお問い合わせ窓口へご連絡ください。";
const SUPPORT_EN: &str = "If that does not help, contact the bank and quote the reference number.";

/// The upstream may have acted before the answer was lost: nobody should pay twice.
const UNCERTAIN_JA: &str = "振込などのお手続きの途中だった場合は、手続きが完了している可能性があります。もう一度操作する前に、取引の状況を必ずご確認ください。";
const UNCERTAIN_EN: &str = "If you were in the middle of a transfer or another transaction, it may have gone through: check its status before you repeat it.";
