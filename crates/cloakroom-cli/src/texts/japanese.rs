//! Japanese, in the polite form.

use cloakroom::{Browser, Device, System};

use super::{
    AboutTexts, Ago, Around, DevicesTexts, FailureTexts, FrameTexts, IndexTexts, KeptTexts,
    LoginTexts, LogoutTexts, Texts, Time, Trouble, Unit, WayOut,
};

pub(super) static TEXTS: Texts = Texts {
    frame: FrameTexts {
        pages: "ページ",
        // Short: on a phone it stands beside the name and the switch.
        about: "概要",
        devices: "デバイス",
        back: "トップページに戻る",
    },
    index: IndexTexts {
        welcome: "ようこそ",
        logged_in_as: Around("", " さんとしてログインしています"),
        visits: Around("訪問回数: ", " 回"),
        ends_in: Around("このまま再訪問がなければ、あと ", " でセッションは終了します。"),
        ends_in_any_case: Around(
            "有効期限の上限に達するため、再訪問があっても、あと ",
            " でセッションは終了します。",
        ),
        ended: "セッションは終了しました。続けるには、もう一度ログインしてください。",
        not_logged_in: "ログインしていません。",
        what_happens: "クロークにコートを預けてみましょう。好きな名前でログインすると、ログアウトするか、しばらく訪問がなくなるまで、訪問回数を数えます。",
    },
    kept: KeptTexts {
        title: "サーバーに保存されている内容",
        in_server: "Redis に保存されている内容です。ひとつのハッシュなので、どの Redis クライアントからも読めます。",
        in_folder: "サーバーが専用のファイルに保存している内容です。再起動やクラッシュの後にも残ります。",
        in_memory: "サーバーのプロセスがメモリ上に保持している内容です。プロセスが終了すると消えます。",
        look_yourself: "次のコマンドで確かめられます。",
        id: "セッション ID",
        about_id: Around(
            "ブラウザーのクッキー ",
            " に入っているトークンのハッシュ値です。トークンそのものはどこにも保存されず、この値から求めることもできません。",
        ),
        key: "キー",
        about_key: "アプリケーションの名前、同じユーザーの全セッションに共通のタグ、セッション ID からなります。",
        fields: "フィールド",
        reserved: "セッション自身の管理情報です。値はすべてテキストで、時間の単位はミリ秒です。",
        layout: "保存形式のバージョン",
        created: "ログインした時刻（1970 年からの経過時間）",
        absolute: "ログインからの有効期間の上限",
        idle: "アクセスがない場合の有効期間",
        seen: "最後にアクセスした時刻（ログインからの経過時間。記録は最大で 1 分に 1 回）",
        cookie_goes: "ブラウザーを閉じるとクッキーは消えます",
        cookie_stays: "ブラウザーを閉じてもクッキーは残ります",
        user: "ログインしているユーザーです。",
        client: Around("ご利用のデバイスの情報です。内容は「", "」のページで確認できます。"),
        visits: "このページの訪問回数です。ストアの中で 1 ずつ加算するので、数え漏れはありません。",
        other: "アプリケーションが保存した値です。",
        left: "残りの有効時間（ミリ秒）",
        about_left: "この時間が過ぎると、セッションは消えます。訪問のたびに延長されます。",
    },
    devices: DevicesTexts {
        title: "ログイン中のデバイス",
        what_to_do: "現在ログインしているデバイスの一覧です。心当たりのないデバイスがあれば終了してください。そのデバイスは、次のアクセスからログアウトした状態になります。",
        this: "このデバイス",
        in_use: "使用中",
        used: "最終利用",
        logged_in: "ログイン",
        remembered: "（ログイン状態を保持）",
        address: "IP アドレス",
        label: "アプリケーション",
        end: "終了する",
        end_others: "ほかのデバイスをすべて終了する",
        end_all: "すべてのデバイスでログアウトする",
        more: "続きを見る",
    },
    login: LoginTexts {
        title: "ログイン",
        name: "名前",
        remember: Around("ログイン状態を ", "間保持する"),
        problem_name: "この名前は使えません。1～64 バイト（半角英字で 64 文字、漢字で 21 文字まで）で、制御文字を含まない名前を入力してください。",
        problem_full: "この名前でログインできる数の上限に達しています。先に、ほかのブラウザーでログアウトしてください。",
        button: "ログインする",
        note: "名前は何でもかまいません。これはデモなので、パスワードの確認はありません。",
    },
    logout: LogoutTexts {
        title: "ログアウト",
        question: "ログアウトしますか？",
        why: "ほかのサイトのリンクからここに来た可能性があるため、確認しています。まだログアウトしていません。",
        button: "ログアウトする",
        stay: "ログインしたままにする",
    },
    about: AboutTexts {
        title: "このデモについて",
        ticket: "クロークにコートを預けると、引換券を渡されます。引換券にあたるのがブラウザーのクッキーに入るランダムなトークンで、コートにあたるセッションのデータはサーバーに置かれます。",
        free_title: "このページのコスト",
        free: "このページはセッションを参照しません。そのため、セッションストアには一切アクセスせず、ストアが停止していても表示できます。",
        cookies_title: "ブラウザーに保存されるもの",
        cookies: "ログインからログアウトまでは、トークンの入ったクッキーを保存します。言語を選択した場合は、その選択を記録するクッキーも保存します。それ以外は何も保存しません。",
    },
    failure,
    time,
    ago,
    device,
};

fn failure(trouble: Trouble) -> FailureTexts {
    let (title, what, way_out) = match trouble {
        Trouble::NoAddress => (
            "アドレスが正しくありません",
            "この形式のアドレスにはページがありません。",
            WayOut::Start,
        ),
        Trouble::FromAnotherSite => (
            "リクエストを受け付けませんでした",
            "ほかのサイトから送信されたフォームのため、何も実行していません。ご自身の操作だった場合は、このサイトのページを開いてやり直してください。",
            WayOut::Start,
        ),
        Trouble::NotFound => (
            "ページが見つかりません",
            "お探しのページはありません。アドレスをご確認ください。",
            WayOut::Start,
        ),
        Trouble::NoSuchSession => (
            "セッションが見つかりません",
            "この ID のセッションは、ご自身のセッションの中にありません。すでに終了している可能性があります。何も変更していません。",
            WayOut::Devices("ログイン中のデバイスを見る"),
        ),
        Trouble::NotAllowed => (
            "この操作はできません",
            "このページは、その種類のリクエストに対応していません。",
            WayOut::Start,
        ),
        Trouble::TooSlow => (
            "時間切れになりました",
            "リクエストの受信に時間がかかりすぎました。もう一度お試しください。",
            WayOut::Again("もう一度試す"),
        ),
        Trouble::SessionEnded => (
            "セッションは終了しています",
            "リクエストの処理中にセッションが終了したため、何も変更していません。",
            WayOut::LogIn("ログインする"),
        ),
        Trouble::TooLarge => (
            "送信内容が大きすぎます",
            "このページが受け付けるサイズを超えています。",
            WayOut::Start,
        ),
        Trouble::NoForm => (
            "フォームの形式ではありません",
            "このページでは、フォームから送信された内容だけを受け付けています。",
            WayOut::Start,
        ),
        Trouble::Unusable => (
            "送信内容に誤りがあります",
            "このページに必要な内容ではありませんでした。前のページに戻って、入力内容をご確認ください。",
            WayOut::Start,
        ),
        Trouble::StoreAway => (
            "少々お待ちください",
            "現在、セッションを読み込めません。ログインし直す必要はありませんので、しばらくしてからもう一度お試しください。",
            WayOut::Again("もう一度試す"),
        ),
        Trouble::Other(status) => {
            return FailureTexts {
                title: "エラーが発生しました",
                what: format!("リクエストを処理できませんでした（ステータス {status}）。"),
                way_out: WayOut::Start,
            };
        }
    };
    FailureTexts { title, what: what.to_owned(), way_out }
}

fn time(Time { number, unit }: Time) -> String {
    let unit = match unit {
        Unit::Second => "秒",
        Unit::Minute => "分",
        Unit::Hour => "時間",
        Unit::Day => "日",
    };
    format!("{number} {unit}")
}

fn ago(ago: Ago) -> String {
    match ago {
        Ago::JustNow => "たった今".to_owned(),
        Ago::Before(before) => format!("{}前", time(before)),
    }
}

fn device(Device { browser, system }: Device) -> String {
    let browser = match (browser, system) {
        (Browser::Unknown, System::Unknown) => return "不明なデバイス".to_owned(),
        (Browser::App, _) => "アプリ".to_owned(),
        (Browser::Program, _) => "プログラム".to_owned(),
        (Browser::Other, _) => "その他のブラウザー".to_owned(),
        (Browser::Unknown, _) => "不明なブラウザー".to_owned(),
        // Names are the same in every language.
        (name, _) => name.to_string(),
    };
    match system {
        System::Unknown => browser,
        System::Other => format!("{browser}（その他の OS）"),
        name => format!("{browser}（{name}）"),
    }
}
