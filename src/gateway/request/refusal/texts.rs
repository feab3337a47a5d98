//! The words, each in Japanese and in English: for the clerk of a company whose banking just did not open.
//!
//! No path, name or number of the bank's network stands in them, and nothing of the certificate but why it is refused.

mod errors;
mod renewal;

use super::Language;
use super::Problem;
use super::Words;
use crate::gateway::verify::Reason;
use sekisho_config::Advice;

/// The words around a problem's own.
pub(super) struct Labels {
    pub(super) language_name: &'static str,
    pub(super) next: &'static str,
    pub(super) portal: &'static str,
    pub(super) contact: &'static str,
    pub(super) reference: &'static str,
    pub(super) reason: &'static str,
    pub(super) time: &'static str,
    pub(super) desk: &'static str,
    pub(super) telephone: &'static str,
    pub(super) hours: &'static str,
}

pub(super) const fn labels(language: Language) -> &'static Labels {
    match language {
        Language::Japanese => &Labels {
            language_name: "日本語",
            next: "次の操作をお試しください",
            portal: "電子証明書の手続きページを開く",
            contact: "お問い合わせの際にお伝えください",
            reference: "お問い合わせ番号",
            reason: "理由コード",
            time: "日時",
            desk: "お問い合わせ先",
            telephone: "電話番号",
            hours: "受付時間",
        },
        Language::English => &Labels {
            language_name: "English",
            next: "What to do next",
            portal: "Open the certificate portal",
            contact: "If you contact the bank, quote this",
            reference: "Reference number",
            reason: "Reason code",
            time: "Time",
            desk: "Whom to contact",
            telephone: "Telephone",
            hours: "Hours",
        },
    }
}

/// `advice` is what clients of the refused one's CA do to get another certificate.
pub(super) const fn words(problem: Problem, language: Language, advice: Advice) -> Words {
    match (problem, language) {
        (Problem::Refused(Reason::Expired), _) => renewal::expired(language, advice),
        (Problem::Refused(Reason::Revoked), _) => renewal::revoked(language, advice),
        (Problem::Refused(reason), Language::Japanese) => refusal_in_japanese(reason),
        (Problem::Refused(reason), Language::English) => refusal_in_english(reason),
        (problem, Language::Japanese) => errors::in_japanese(problem),
        (problem, Language::English) => errors::in_english(problem),
    }
}

const fn refusal_in_japanese(reason: Reason) -> Words {
    match reason {
        Reason::NoCertificate => Words {
            title: "電子証明書が提示されていません",
            detail: "このサービスのご利用には電子証明書が必要ですが、お使いのブラウザーから電子証明書が提示されませんでした。",
            next_steps: &[
                "ブラウザーの画面をすべて閉じてから開き直し、もう一度アクセスして、表示される一覧からこのサービス用の電子証明書を選択してください。",
                "一覧が表示されない場合や、一覧にこのサービス用の電子証明書がない場合は、電子証明書の有効期限をご確認ください。有効期限が切れた電子証明書や、ほかのサービス用の電子証明書は、一覧に表示されません。",
                "有効期限内の電子証明書をお持ちの場合は、その電子証明書を取得したパソコンとブラウザーでアクセスしているかご確認ください。",
                "有効期限が切れている場合や、まだ取得していない場合は、先に電子証明書の取得または再発行の手続きを行ってください。",
            ],
        },
        Reason::Expired => renewal::expired(Language::Japanese, Advice::AskForReissue),
        Reason::NotYetValid => Words {
            title: "電子証明書の有効期間が始まっていません",
            detail: "提示された電子証明書は、まだ有効期間の開始前のため、ご利用いただけません。",
            next_steps: &[
                "電子証明書を取得した直後の場合は、数分待ってから、ブラウザーを開き直してもう一度アクセスしてください。",
                "ほかに有効な電子証明書をお持ちの場合は、そちらを選択してください。",
                "時間をおいても解消しない場合は、お問い合わせ番号を添えて銀行のお問い合わせ窓口へご連絡ください。",
            ],
        },
        Reason::Revoked => renewal::revoked(Language::Japanese, Advice::AskForReissue),
        Reason::Suspended => Words {
            title: "電子証明書のご利用が一時停止されています",
            detail: "提示された電子証明書は、一時的に利用を停止されています。失効したものではなく、停止が解除されると、同じ電子証明書をそのままご利用いただけます。",
            next_steps: &[
                "貴社の管理者に、利用停止の解除をご依頼ください。管理者の方は、銀行のお問い合わせ窓口へご連絡ください。",
                "解除された後に、ブラウザーを開き直してもう一度アクセスしてください。電子証明書を再取得する必要はありません。",
                "停止にお心当たりがない場合は、至急、銀行のお問い合わせ窓口へご連絡ください。",
            ],
        },
        Reason::Blocked => Words {
            title: "この電子証明書のご利用を停止しています",
            detail: "提示された電子証明書、利用者、またはご契約について、銀行がご利用を停止しています。",
            next_steps: &[
                "お問い合わせ番号を添えて、銀行のお問い合わせ窓口へご連絡ください。",
                "停止の理由にお心当たりがない場合は、至急ご連絡ください。",
                "停止が解除されるまで、電子証明書を再取得してもご利用いただけない場合があります。",
            ],
        },
        Reason::UnknownCa => Words {
            title: "このサービスの電子証明書ではありません",
            detail: "提示された電子証明書は、このサービスで利用できる認証局が発行したものではありません。",
            next_steps: &[
                "ブラウザーの画面をすべて閉じてから開き直し、もう一度アクセスして、このサービス用に取得した電子証明書を選択してください。",
                "このサービス用の電子証明書が一覧にない場合は、電子証明書の取得手続きを行ってください。",
            ],
        },
        Reason::WrongUsage => Words {
            title: "この電子証明書は認証に使用できません",
            detail: "提示された電子証明書は、利用者の認証を用途として発行されたものではありません。",
            next_steps: &[
                "ブラウザーの画面をすべて閉じてから開き直し、もう一度アクセスして、このサービス用に取得した電子証明書を選択してください。",
                "このサービス用の電子証明書を選択してもこの画面が表示される場合は、お問い合わせ番号を添えて銀行のお問い合わせ窓口へご連絡ください。",
            ],
        },
        Reason::BadCertificate => Words {
            title: "電子証明書を確認できませんでした",
            detail: "提示された電子証明書は、形式または暗号の強度がこのサービスの要件を満たしていないため、ご利用いただけません。",
            next_steps: &[
                "ブラウザーの画面をすべて閉じてから開き直し、もう一度アクセスして、このサービス用に取得した電子証明書を選択してください。",
                "解消しない場合は、電子証明書を再取得してください。",
                "再取得しても解消しない場合は、お問い合わせ番号を添えて銀行のお問い合わせ窓口へご連絡ください。",
            ],
        },
        Reason::MalformedIdentity => Words {
            title: "電子証明書の利用者情報を確認できませんでした",
            detail: "提示された電子証明書に記載されている契約者IDや利用者IDの情報が、このサービスの形式と一致しません。",
            next_steps: &[
                "ブラウザーの画面をすべて閉じてから開き直し、もう一度アクセスして、このサービス用に取得した電子証明書を選択してください。",
                "解消しない場合は、お問い合わせ番号を添えて銀行のお問い合わせ窓口へご連絡ください。",
            ],
        },
        Reason::NotPermitted => Words {
            title: "この電子証明書ではご利用いただけません",
            detail: "電子証明書は有効ですが、このページのご利用が許可されていません。",
            next_steps: &[
                "アクセス先(利用者用・管理者用など)が正しいかご確認ください。",
                "別の電子証明書をお持ちの場合は、ブラウザーの画面をすべて閉じてから開き直し、もう一度アクセスして、そちらを選択してください。",
                "ご利用の権限については、貴社の管理者にご確認ください。",
            ],
        },
        Reason::RevocationUnavailable => Words {
            title: "ただいま電子証明書の状態を確認できません",
            detail: "電子証明書が失効していないことを確認できないため、安全のためご利用を一時的に停止しています。お客さまの電子証明書やパソコンの不具合ではありません。",
            next_steps: &[
                "しばらく待ってから、もう一度アクセスしてください。電子証明書を再取得する必要はありません。",
                "この状態が続く場合は、お問い合わせ番号を添えて銀行のお問い合わせ窓口へご連絡ください。",
            ],
        },
    }
}

const fn refusal_in_english(reason: Reason) -> Words {
    match reason {
        Reason::NoCertificate => Words {
            title: "No certificate was presented",
            detail: "This service needs your electronic certificate, and your browser did not present one.",
            next_steps: &[
                "Close every browser window, open the browser again, come back to this address and choose the certificate for this service from the list.",
                "If no list appears, or the certificate is not in it, check its expiry date: the list shows neither expired certificates nor those of other services.",
                "If it has not expired, check that you are using the computer and the browser in which it was installed.",
                "If it has expired, or you do not have one yet, acquire one or have it reissued first.",
            ],
        },
        Reason::Expired => renewal::expired(Language::English, Advice::AskForReissue),
        Reason::NotYetValid => Words {
            title: "Your certificate is not valid yet",
            detail: "The certificate you presented cannot be used before its validity period begins.",
            next_steps: &[
                "If you acquired it just now, wait a few minutes, open the browser again and come back to this address.",
                "If you have another certificate that is valid now, choose that one.",
                "If this does not pass, contact the bank and quote the reference number.",
            ],
        },
        Reason::Revoked => renewal::revoked(Language::English, Advice::AskForReissue),
        Reason::Suspended => Words {
            title: "Your certificate is suspended",
            detail: "The certificate you presented is suspended for the time being. It has not been revoked: once the suspension is lifted, the same certificate can be used again.",
            next_steps: &[
                "Ask your company's administrator to lift the suspension. If you are the administrator, contact the bank.",
                "After that, open the browser again and come back to this address. You do not need a new certificate.",
                "If you do not know why it was suspended, contact the bank at once.",
            ],
        },
        Reason::Blocked => Words {
            title: "Access with this certificate has been stopped",
            detail: "The bank has stopped access for the certificate you presented, its user, or the contract it belongs to.",
            next_steps: &[
                "Contact the bank and quote the reference number.",
                "If you do not know why access was stopped, contact the bank at once.",
                "Until the bank gives access again, acquiring another certificate may not help.",
            ],
        },
        Reason::UnknownCa => Words {
            title: "This is not a certificate for this service",
            detail: "The certificate you presented was not issued by a certification authority that this service accepts.",
            next_steps: &[
                "Close every browser window, open the browser again, come back to this address and choose the certificate that you acquired for this service.",
                "If it is not in the list, acquire a certificate for this service.",
            ],
        },
        Reason::WrongUsage => Words {
            title: "This certificate cannot be used to sign in",
            detail: "The certificate you presented was not issued for the authentication of users.",
            next_steps: &[
                "Close every browser window, open the browser again, come back to this address and choose the certificate that you acquired for this service.",
                "If you did choose it and still see this page, contact the bank and quote the reference number.",
            ],
        },
        Reason::BadCertificate => Words {
            title: "Your certificate could not be checked",
            detail: "The form or the cryptographic strength of the certificate you presented does not meet this service's requirements.",
            next_steps: &[
                "Close every browser window, open the browser again, come back to this address and choose the certificate that you acquired for this service.",
                "If that does not help, acquire the certificate again.",
                "If that does not help either, contact the bank and quote the reference number.",
            ],
        },
        Reason::MalformedIdentity => Words {
            title: "The user in your certificate could not be recognised",
            detail: "The contract ID and user ID in the certificate you presented are not in the form that this service uses.",
            next_steps: &[
                "Close every browser window, open the browser again, come back to this address and choose the certificate that you acquired for this service.",
                "If that does not help, contact the bank and quote the reference number.",
            ],
        },
        Reason::NotPermitted => Words {
            title: "This certificate is not permitted here",
            detail: "Your certificate is valid, but it does not give access to this page.",
            next_steps: &[
                "Check that you are at the right address: users and administrators, for example, may have different ones.",
                "If you have another certificate, close every browser window, open the browser again, come back to this address and choose that one.",
                "Ask your company's administrator about your access rights.",
            ],
        },
        Reason::RevocationUnavailable => Words {
            title: "Certificates cannot be checked at the moment",
            detail: "We cannot confirm at the moment that your certificate has not been revoked, and for your safety the service is paused until we can. Nothing is wrong with your certificate or your computer.",
            next_steps: &[
                "Wait a while and try again. You do not need a new certificate.",
                "If this goes on, contact the bank and quote the reference number.",
            ],
        },
    }
}
