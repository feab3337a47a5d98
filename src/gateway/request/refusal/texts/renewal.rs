//! The words for who needs another certificate, which depend on how the clients of its CA get one.

use super::Language;
use super::Words;
use sekisho_config::Advice;

pub(super) const fn expired(language: Language, advice: Advice) -> Words {
    match language {
        Language::Japanese => Words {
            title: "電子証明書の有効期限が切れています",
            detail: "提示された電子証明書は有効期限を過ぎているため、ご利用いただけません。",
            next_steps: match advice {
                Advice::AcquireAgain => &[
                    "電子証明書を再取得してください。",
                    NEW_ONE_JA,
                    "再取得の方法がわからない場合は、貴社の管理者にご確認ください。",
                ],
                Advice::AskForReissue => &[
                    "電子証明書の再発行が必要です。貴社の管理者に電子証明書の再発行をご依頼ください。再発行の手続きが済むまで、電子証明書は取得できません。",
                    "再発行の手続きが済んだら、電子証明書を取得してください。",
                    NEW_ONE_JA,
                    ADMINISTRATOR_JA,
                ],
            },
        },
        Language::English => Words {
            title: "Your certificate has expired",
            detail: "The certificate you presented is past its expiry date and can no longer be used.",
            next_steps: match advice {
                Advice::AcquireAgain => &[
                    "Acquire a new certificate.",
                    NEW_ONE_EN,
                    "If you are not sure how to acquire it, ask your company's administrator.",
                ],
                Advice::AskForReissue => &[
                    "It has to be reissued: ask your company's administrator. Until that is done, no certificate can be acquired.",
                    "Once it has been reissued, acquire the new certificate.",
                    NEW_ONE_EN,
                    ADMINISTRATOR_EN,
                ],
            },
        },
    }
}

pub(super) const fn revoked(language: Language, advice: Advice) -> Words {
    match language {
        Language::Japanese => Words {
            title: "電子証明書が失効しています",
            detail: "提示された電子証明書は失効しているため、ご利用いただけません。電子証明書の再取得や再発行により、以前の電子証明書が失効している場合があります。",
            next_steps: match advice {
                Advice::AcquireAgain => &[
                    NEW_ONE_JA,
                    "お持ちでない場合は、電子証明書を再取得してください。",
                    "失効にお心当たりがない場合は、至急、銀行のお問い合わせ窓口へご連絡ください。",
                ],
                Advice::AskForReissue => &[
                    NEW_ONE_JA,
                    "お持ちでない場合は、貴社の管理者に電子証明書の再発行をご依頼ください。",
                    ADMINISTRATOR_JA,
                    "失効にお心当たりがない場合は、至急、銀行のお問い合わせ窓口へご連絡ください。",
                ],
            },
        },
        Language::English => Words {
            title: "Your certificate has been revoked",
            detail: "The certificate you presented has been revoked and can no longer be used. When a certificate is reissued or acquired again, the earlier one is revoked.",
            next_steps: match advice {
                Advice::AcquireAgain => &[
                    NEW_ONE_EN,
                    "If you do not, acquire a new certificate.",
                    "If you do not know why it was revoked, contact the bank at once.",
                ],
                Advice::AskForReissue => &[
                    NEW_ONE_EN,
                    "If you do not, ask your company's administrator to have it reissued.",
                    ADMINISTRATOR_EN,
                    "If you do not know why it was revoked, contact the bank at once.",
                ],
            },
        },
    }
}

const NEW_ONE_JA: &str = "新しい電子証明書をすでにお持ちの場合は、ブラウザーの画面をすべて閉じてから開き直し、もう一度アクセスして、新しい電子証明書を選択してください。";
const NEW_ONE_EN: &str = "If you already have the new one, close every browser window, open the browser again, come back to this address and choose the new certificate.";
const ADMINISTRATOR_JA: &str =
    "管理者の方は、ご自身の電子証明書の再発行について銀行のお問い合わせ窓口へご連絡ください。";
const ADMINISTRATOR_EN: &str = "If you are the administrator, contact the bank to have your own certificate reissued.";
