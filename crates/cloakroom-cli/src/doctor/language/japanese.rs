//! What the doctor says in Japanese.

use super::{Phrases, Tally, Words};
use crate::doctor::finding::{Act, Finding, Hosts, Part, Verdict};

pub(crate) static PHRASES: Phrases =
    Phrases { title, verdict, next: "対処: ", words, summary, unreadable };

fn title(part: Part) -> &'static str {
    match part {
        Part::Address => "接続先",
        Part::Name => "名前解決",
        Part::Connection => "TCP 接続",
        Part::Encryption => "暗号化",
        Part::Login => "認証",
        Part::Ping => "応答時間",
        Part::Role => "役割",
        Part::Cluster => "クラスター",
        Part::Version => "バージョン",
        Part::Memory => "メモリ",
        Part::Persistence => "永続化",
        Part::Permissions => "権限",
        Part::Rehearsal => "通し確認",
        Part::Folder => "フォルダー",
        Part::Key => "鍵",
        Part::Sessions => "セッション",
    }
}

fn verdict(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        Some(Verdict::Ok) => "正常",
        Some(Verdict::Note) => "参考",
        Some(Verdict::Warning) => "警告",
        Some(Verdict::Failure) => "異常",
        None => "未実施",
    }
}

fn act(act: Act) -> &'static str {
    match act {
        Act::Create => "セッションの作成",
        Act::Count => "カウント",
        Act::LogIn => "ログイン",
        Act::LogOut => "ログアウト",
        Act::Expire => "有効期限切れ",
        Act::TidyUp => "後片付け",
    }
}

fn summary(tally: Tally) -> String {
    let Tally { failures, warnings, notes, first } = tally;
    match first {
        Some(step) if failures > 0 => format!(
            "このままでは使えません (異常 {failures} 件、警告 {warnings} 件)。手順 {step} から対処してください。"
        ),
        Some(step) => format!(
            "動作しますが、警告が {warnings} 件あります。手順 {step} から対処してください。"
        ),
        None if notes > 0 => format!("すべて動作しています (参考 {notes} 件)。"),
        None => "すべて正常です。".into(),
    }
}

fn unreadable(why: &str) -> String {
    format!(
        "URL を読み取れません ({why})。redis://ホスト:ポート、rediss://ホスト:ポート (TLS)、redis+cluster://ホスト:ポート,ホスト:ポート、redis+sentinel://ホスト:ポート,ホスト:ポート/プライマリー名、unix:///パス のいずれかで指定してください。必要なら、ホストの前に ユーザー:パスワード@、末尾に /データベース番号 を付けます"
    )
}

fn with_tls(tls: bool) -> &'static str {
    if tls { "TLS あり" } else { "TLS なし" }
}

fn as_user(user: Option<&str>) -> String {
    user.map_or("認証情報なし".into(), |user| format!("ユーザー {user}"))
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1048576.0)
}

const ACL: &str = "ACL の全文は docs/operations.md にあります";

fn words(finding: &Finding) -> Words {
    use Finding::*;
    use Words as W;
    match finding {
        At { nodes, all, what } => {
            let Words { reason, next } = words(what);
            let who = if *all { format!("全 {} 台", nodes.len()) } else { nodes.join(", ") };
            // Some say it themselves.
            let said = reason.starts_with(&who);
            Words { reason: if said { reason } else { format!("{who}: {reason}") }, next }
        }
        LeftOut { why } => {
            let Words { reason, next } = words(why);
            let next = next.unwrap_or_default();
            W::act(format!("このサーバーはここから調べません: {reason}"), format!("これがなくても動きますが、予備が 1 台減っています。{next}"))
        }

        AddressRead { server, tls, user, database } => W::fine(format!(
            "{server}、{}、{}、データベース {database}", with_tls(*tls), as_user(user.as_deref()),
        )),
        ClusterRead { at: Hosts { hosts, tls, user }, primaries: 0, .. } => W::fine(format!(
            "クラスター {}、{}、{} (構成はまだどのノードからも分かりません)", hosts.join(", "), with_tls(*tls), as_user(user.as_deref()),
        )),
        ClusterRead { at: Hosts { hosts, tls, user }, primaries, replicas } => W::fine(format!(
            "クラスター {}、{}、{} (プライマリー {primaries} 台、レプリカ {replicas} 台)", hosts.join(", "), with_tls(*tls), as_user(user.as_deref()),
        )),
        SentinelsRead { at: Hosts { hosts, tls, user }, primary, replicas } => W::fine(format!(
            "Sentinel {}、{}、{} (プライマリー {primary}、レプリカ {replicas} 台)", hosts.join(", "), with_tls(*tls), as_user(user.as_deref()),
        )),
        PasswordVisible => W::act(
            "パスワードがコマンドの引数にあります。このマシンの全ユーザーから (ps などで) 見えます。",
            "URL を環境変数 REDIS_URL に入れ、`cloakroom doctor` とだけ入力してください。他の人も使うマシンなら、パスワードを変更してください。",
        ),

        NameFound { host, addresses } => W::fine(format!(
            "{host} は {}",
            addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        )),
        NameNotNeeded => W::fine("名前解決は不要です"),
        NameUnknown { host, error } => W::act(
            format!("{host} のアドレスが見つかりません ({error})。"),
            "つづりを確認してください。ElastiCache やプライベートゾーンの名前は、その VPC やクラスターの中でしか解決できません。サービスが動く場所で実行してください。",
        ),
        NameSilent { host, within_ms } => W::act(
            format!("{host} について、{within_ms} 以内にどのネームサーバーからも応答がありません。"),
            "このマシンが使うネームサーバー (/etc/resolv.conf) と、そこへの到達性 (53 番ポート) を確認してください。",
        ),

        Connected { address } => W::fine(format!("{address} に接続できます")),
        Refused { address } => W::act(
            format!("{address} に接続を拒否されました。マシンはありますが、そのポートでは何も待ち受けていません。"),
            "サーバーは動いていますか (`systemctl status redis-server` または `valkey-server`)。ポート番号は正しいですか。別のマシンにある場合、127.0.0.1 以外でも待ち受けていますか (設定の `bind`)。",
        ),
        NoAnswer { address, port, within_ms } => W::act(
            format!("{address} から {within_ms} 以内に応答がありません。途中でパケットが捨てられています。"),
            format!("最も多い原因はセキュリティグループです。キャッシュ側のグループに、これを実行しているマシンのグループからの TCP {port} 番 (Serverless では 6379 と 6380) のインバウンドルールが必要です。Web サーバー用のグループを作るだけではキャッシュへの通信は許可されません (ElastiCache のチュートリアルでつまずくのはここです)。次に、ネットワーク ACL (両方向)、ルート、同じ VPC かどうかを確認してください。キャッシュはふつう VPC の外からは到達できません。"),
        ),
        Unreachable { address, error } => W::act(
            format!("{address} への経路がありません ({error})。"),
            "このマシンのルート (`ip route get アドレス`)、VPC ピアリング、IPv6 アドレスならこのマシンで IPv6 が使えるかを確認してください。",
        ),
        NoSocket { path } => W::act(
            format!("ソケット {} がありません。", path.display()),
            "サーバーは動いていますか。設定の `unixsocket` のパスと一致していますか。",
        ),
        ConnectFailed { address, error } => W::act(
            format!("{address} に接続できません: {error}。"),
            "ソケットの場合、このユーザーに書き込み権限がありますか (`unixsocketperm` とサーバーのグループ)。",
        ),

        Encrypted { protocol, cipher } => W::fine(format!("{protocol}、{cipher}、証明書は有効です")),
        StaysHere => W::fine("暗号化なし (データはこのマシンの外に出ません)"),
        Plain => W::act(
            "暗号化されていません。経路上で盗聴できる人に、パスワードと全セッションを読まれます。",
            "TLS を有効にし (ElastiCache では「転送中の暗号化」)、URL を rediss:// にしてください。",
        ),
        TlsNeeded => W::act(
            "サーバーは TLS を求めていますが、URL は TLS なしの redis:// です。",
            "URL を rediss:// にしてください。",
        ),
        TlsNotSpoken => W::act(
            "URL は rediss:// ですが、このポートのサーバーは TLS に対応していません。",
            "サーバーの TLS 用ポート (`tls-port`。ElastiCache では「転送中の暗号化」を有効に) を使ってください。盗聴の恐れがない経路なら redis:// にしてください。",
        ),
        UnknownIssuer => W::act(
            "サーバー証明書の発行者を、このマシンは信頼していません。",
            "自社の認証局なら、その証明書を `--ca ファイル` で指定してください。サービス本体には、環境変数 SSL_CERT_FILE にそのファイルを指定します。心当たりがなければ、何者かが間に入っている恐れがあります。",
        ),
        WrongName { host, presented } => W::act(
            format!("サーバー証明書は {host} のものではありません (対象: {})。", if presented.is_empty() { "なし".into() } else { presented.join(", ") }),
            "URL のホスト名を証明書にある名前にするか、この名前を subjectAltName に含む証明書を発行し直してください。",
        ),
        Expired { since, now } => W::act(
            format!("サーバー証明書は {since} に期限切れになりました (このマシンの時計: {now})。"),
            "証明書を更新してください。時計が間違っていれば合わせてください (`timedatectl`)。",
        ),
        NotYetValid { from, now } => W::act(
            format!("サーバー証明書は {from} から有効です (このマシンの時計: {now})。"),
            "このマシンの時計が遅れているようです。合わせてください (`timedatectl`)。そうでなければ、待つか、証明書を発行し直してください。",
        ),
        ClientCertificate => W::act(
            "サーバーがクライアント証明書を求めていますが、提示できるものがありません。",
            "サーバーを `tls-auth-clients no` にして、パスワードで認証してください。",
        ),
        NoCommonProtocol { error } => W::act(
            format!("共通で使える TLS のバージョンまたは暗号スイートがありません ({error})。"),
            "サーバーで TLS 1.2 または 1.3 と AEAD の暗号スイートを有効にしてください (`tls-protocols`、`tls-ciphers`)。",
        ),
        NoRoots { error } => W::act(
            format!("信頼する認証局の証明書がありません ({error})。"),
            "インストールする (Debian では ca-certificates) か、`--ca ファイル` または SSL_CERT_FILE で指定してください。",
        ),
        TlsFailed { error } => W::act(
            format!("TLS の確立に失敗しました: {error}。"),
            "サーバーのログと、間にあるもの (プロキシ、ロードバランサー) を確認してください。",
        ),

        Silent { within_ms } => W::act(
            format!("接続はできますが、{within_ms} 以内に何も応答がありません。"),
            "サーバーが停止している、固まっている、スワップしている、または間のプロキシがサーバーを見失っています。負荷とログを確認してください。`--timeout` を長くすると、遅いだけかどうか分かります。",
        ),
        Closed => W::act(
            "接続はできますが、何も言わずに切断されます。",
            "間にあるもの (ロードバランサー、トンネル) の先にサーバーがないか、サーバーが停止中です。ログを確認してください。",
        ),
        NotRedis => W::act(
            "応答しているのは Redis プロトコルではありません。",
            "別のサービスのポートです。ホストとポートを確認してください。",
        ),

        LoggedIn { user } => W::fine(format!("ユーザー {user} で認証しました")),
        NoPasswordNeeded => W::fine("パスワードなし (このマシンの中だけの接続です)"),
        Open => W::act(
            "パスワードが不要です。このアドレスに届く人は誰でも、全セッションを読み、終了できます。",
            "サービス専用のユーザーを作り (ACL は docs/operations.md)、default ユーザーにパスワードを設定してください。",
        ),
        PasswordMissing => W::act(
            "サーバーはパスワードを求めていますが、URL にありません。",
            "REDIS_URL を redis://ユーザー:パスワード@ホスト:ポート (default ユーザーなら `:パスワード@`) にしてください。記号は %XX で書きます。",
        ),
        PasswordWrong { user } => W::act(
            format!("ユーザー {user} とこのパスワードの組み合わせは、サーバーにありません。"),
            "両方を確認してください。URL の中では @ : / ? # % を %40 %3A %2F %3F %23 %25 と書きます。サーバーの `ACL LIST` で、ユーザーの一覧と有効かどうかが分かります。",
        ),
        IamExpired { ago_ms } => W::act(
            format!("パスワードは IAM トークンで、このマシンの時計では {ago_ms} 前に期限切れになっています。"),
            "トークンの寿命は 15 分です。接続のたびに新しく作ってください。新しいはずなら、作ったマシンの時計が間違っています。",
        ),
        IamRefused { user } => W::act(
            format!("パスワードは IAM トークンですが、サーバーはユーザー {user} として受け入れません。"),
            "ポリシーで elasticache:Connect をキャッシュとユーザーの両方の ARN に許可しているか、ユーザー名とユーザー ID が同じで認証モードが IAM か、トークンがエンドポイントではなくキャッシュ名 (小文字) で作られているか、このマシンの時計が正しいかを確認してください。",
        ),
        ProtectedMode => W::act(
            "サーバーは保護モードです。パスワードがないため、他のマシンからの接続を受け付けません。",
            "パスワードを設定してください (`requirepass` または ACL のユーザー)。保護モードは無効にしないでください。",
        ),
        TooManyClients => W::act(
            "サーバーの接続数が上限に達しています。",
            "`maxclients` を上げるか、接続を持ちすぎているクライアントを探してください (`CLIENT LIST`)。サービスは 1 プロセスに 1 接続で足ります。",
        ),
        Loading => W::act("サーバーはデータを読み込み中です。", "終わるのを待って、もう一度実行してください。"),
        Busy => W::act(
            "スクリプトが、許された時間を超えてサーバーを占有しています。",
            "まだ書き込んでいないスクリプトなら `SCRIPT KILL` で止まります。Cloakroom のスクリプトは数マイクロ秒で終わるので、別のものを探してください。",
        ),
        NoHello { error } => W::act(
            format!("接続の最初に使う HELLO 3 に対応していません ({error})。"),
            "Redis 6.2 以上または Valkey 7.2 以上が必要です。間のプロキシも RESP3 に対応している必要があります。",
        ),
        NoDatabase { database, error } => W::act(
            format!("データベース {database} は使えません ({error})。"),
            "URL から番号を外してください。プレフィックスで分かれるので、専用のデータベースは不要です。",
        ),
        LoginRefused { error } => W::act(
            format!("サーバーに拒否されました: {error}"),
            "サーバーまたはプロキシの文書で、このエラーの意味を確認してください。",
        ),

        Quick { count, p50_ms, p90_ms, p99_ms, max_ms } => W::fine(format!(
            "往復 {count} 回: 50 % が {p50_ms}、90 % が {p90_ms}、99 % が {p99_ms} 以内、最長 {max_ms}"
        )),
        Slow { count, p50_ms, p90_ms, p99_ms, max_ms } => W::act(
            format!("往復 {count} 回: 50 % が {p50_ms}、90 % が {p90_ms}、99 % が {p99_ms} 以内、最長 {max_ms}。1 リクエストがストアを待つのは、往復すべて合わせて 250 ms です。"),
            "サービスをサーバーの近く (同じリージョン、同じゾーン) で動かしてください。近いなら `SLOWLOG GET`、`LATENCY DOCTOR`、CPU を確認してください。",
        ),
        PingDenied { user } => W::act(
            format!("ユーザー {user} には、死活確認に使う PING が許可されていません。"),
            format!("サーバーで `ACL SETUSER {user} +ping`。{ACL}。"),
        ),

        Primary { replicas: None } => W::fine("プライマリーです"),
        Primary { replicas: Some(0) } => W::fine("プライマリーです (レプリカなし)"),
        Primary { replicas: Some(n) } => W::fine(format!("プライマリーです (レプリカ {n} 台、遅れなし)")),
        Replica { primary } => W::act(
            "これはレプリカです。書き込めないため、ログインもカウントもできません。",
            match primary {
                Some(primary) => format!("プライマリー (現在 {primary}) のアドレスを使ってください。ElastiCache では、フェイルオーバーに追従するプライマリーエンドポイントを使います。"),
                None => "プライマリーのアドレスを使ってください。ElastiCache では、フェイルオーバーに追従するプライマリーエンドポイントを使います。".into(),
            },
        ),
        ReplicaBehind { replica, bytes } => W::act(
            format!("レプリカ {replica} が {} 遅れています。フェイルオーバーすると、その分のログインやログアウトがなかったことになります。", mib(*bytes)),
            "レプリカの負荷、ネットワーク、全体コピー中かどうか (`INFO replication`) を確認してください。",
        ),
        ReplicaOf { primary } => W::fine(match primary {
            Some(primary) => format!("{primary} のレプリカです"),
            None => "レプリカです".into(),
        }),
        ReplicaUnlinked { primary } => W::act(
            format!("レプリカですが、プライマリー {} とつながっていません。フェイルオーバーするとこの間の変更が失われます。", primary.as_deref().unwrap_or_default()),
            "ログを確認してください。両者の間のネットワーク、`masterauth`、TLS (`tls-replication`)、または全体のコピーが終わらないほどのプライマリーの負荷が考えられます。",
        ),
        Sentinel => W::act(
            "これは Sentinel で、データを持ちません。",
            "redis+sentinel://ホスト:ポート,ホスト:ポート/プライマリー名 の形で、すべての Sentinel とプライマリーの名前を書いてください。名前は `SENTINEL MASTERS` で分かります。",
        ),
        NoSentinel => W::act(
            "URL は Sentinel を示していますが、これは Sentinel ではありません。",
            "Sentinel のアドレス (通常はポート 26379) を書くか、サーバー自体なら redis://ホスト:ポート と書いてください。",
        ),
        SentinelKnows { primary } => W::fine(format!("Sentinel です (プライマリーは {primary})")),
        SentinelKnowsNone { primary } => W::act(
            format!("Sentinel は {primary} という名前のプライマリーを知りません。"),
            "名前は `SENTINEL MASTERS` で分かります。URL の名前は大文字と小文字も含めて同じでなければなりません。",
        ),
        SentinelsDisagree { primary } => W::act(
            format!("この Sentinel はプライマリーを {primary} としていますが、他の Sentinel と違います。"),
            "フェイルオーバー中ならすぐに収まります。続くなら、Sentinel 同士がつながっているか (`SENTINEL SENTINELS`) を確認してください。",
        ),
        NoQuorum { error } => W::act(
            format!("いまは Sentinel がフェイルオーバーできません ({error})。"),
            "止まっている Sentinel を起動してください。過半数と、`SENTINEL MONITOR` で決めた定足数が必要です。",
        ),
        InfoDenied { error } => W::act(
            format!("このユーザーには INFO が許可されていません ({error})。レプリカ、メモリ、永続化は調べられません。"),
            "`+info` で許可するか、別のユーザーでもう一度実行してください。",
        ),

        NoCluster => W::fine("クラスターではありません"),
        ClusterWhole { nodes, shards } => W::fine(format!(
            "クラスターは正常です (全 16384 スロット、シャード {shards}、ノード {nodes})"
        )),
        ClusterDown { slots_ok } => W::act(
            format!("クラスターが停止しています。このノードから見て、16384 スロットのうち {slots_ok} が有効です。"),
            "失われたノードを確認し (`CLUSTER NODES`)、復旧するか、レプリカへフェイルオーバーしてください。",
        ),
        SlotsMissing { assigned } => W::act(
            format!("16384 スロットのうち {assigned} しか割り当てられていません。残りのスロットのセッションは置き場所がありません。"),
            "`redis-cli --cluster check ホスト:ポート`、次に `--cluster fix` を実行してください。",
        ),
        UrlOfOne { shards } => W::act(
            format!("これは {shards} シャードのクラスターのノードですが、URL は 1 台のサーバーを示しています。ほとんどのセッションが MOVED で拒否されます。"),
            "redis+cluster://ホスト:ポート,ホスト:ポート (TLS なら rediss+cluster://) の形で、いくつかのノードか設定エンドポイントを書いてください。",
        ),
        NoNodeOfACluster => W::act(
            "URL はクラスターを示していますが、このサーバーはクラスターのノードではありません。",
            "1 台のサーバーなら redis://ホスト:ポート (TLS なら rediss://) と書いてください。",
        ),
        NodesDisagree => W::act(
            "このノードの考えるスロットの担当が、他のノードと違います。",
            "フェイルオーバー中やスロットの移動中ならすぐに収まります。続くなら `redis-cli --cluster check HOST:PORT` を実行してください。",
        ),
        NoReplicaOf { primaries } => W::act(
            format!("{} にはレプリカがありません。止まっている間はそのセッションが使えず、ファイルもなければ失われます。", primaries.join(", ")),
            "レプリカを追加してください (`redis-cli --cluster add-node .. --cluster-slave`、ElastiCache ではシャードごとのレプリカ数)。",
        ),
        ClusterUnseen { error } => W::act(
            format!("このユーザーにはクラスターの状態を調べる権限がありません ({error})。"),
            "`+cluster|info` で許可するか、別のユーザーでもう一度実行してください。",
        ),

        VersionTested { engine, version } => W::fine(format!("{engine} {version}")),
        VersionUntested { engine, version } => W::fine(format!(
            "{engine} {version}: 動くはずですが、テストの対象 (Redis 6.2 と 7.0、Valkey 8.0 と 9.1) ではありません"
        )),
        VersionTooOld { engine, version } => W::act(
            format!("{engine} {version} は古すぎます。"),
            "Redis 6.2 以上または Valkey 7.2 以上にしてください。",
        ),
        VersionUnknown => W::fine("バージョンが分かりません。Redis 6.2 以上または Valkey 7.2 以上が必要です"),
        ClockDiffers { by_ms } => W::act(
            format!("サーバーとこのマシンの時計が {by_ms} ずれています。セッションはサーバーの時計だけで決まりますが、証明書と IAM トークンはこのマシンの時計によります。"),
            "間違っている方を合わせてください (`timedatectl`)。",
        ),

        MemoryGood { used, limit, policy } => W::fine(format!("{} / {} 使用、{policy}", mib(*used), mib(*limit))),
        MemoryUnlimited { used } => W::act(
            format!("{} 使用、上限なし。マシンのメモリを超えて増えると、サーバーは強制終了されます。", mib(*used)),
            "`maxmemory` をマシンに見合う値にし、`maxmemory-policy noeviction` にしてください。",
        ),
        MemoryNearlyFull { used, limit, percent } => W::act(
            format!("メモリの {percent} % を使用中です ({} / {})。一杯になると誰もログインできません。", mib(*used), mib(*limit)),
            "`maxmemory` を上げるか、匿名セッションのアイドルタイムアウトを短くしてください。",
        ),
        MemoryFull { used, limit } => W::act(
            format!("メモリが一杯です ({} / {})。読み出しとログアウトはできますが、ログインと書き込みは拒否されます。", mib(*used), mib(*limit)),
            "`maxmemory` を上げるか、空きを作ってください。`redis-cli --bigkeys` で大きいキーが分かります。",
        ),
        Evicts { policy } => W::act(
            format!("ポリシー {policy} では、メモリが足りなくなると、有効期限を持つキー、つまりセッションが無作為に消されます。利用者がログアウトし、索引が消えればそのユーザーの全セッションが終わります。"),
            "セッション専用のサーバーにして `maxmemory-policy noeviction` (ElastiCache ではパラメーターグループ) とし、メモリを監視してください。消さざるを得ないなら volatile-ttl の方がましです。",
        ),
        EvictsSoonest => W::act(
            "ポリシー volatile-ttl では、メモリが足りなくなると、残り時間の少ないセッションから終わります。",
            "消さざるを得ない場合の次善策です。できれば `maxmemory-policy noeviction` にして、メモリを監視してください。",
        ),
        MemoryUnseen => W::fine("INFO が許可されていないため未確認です。`maxmemory-policy noeviction` を確認してください"),

        AppendOnly => W::fine("AOF (追記専用ファイル) は有効です"),
        Snapshots => W::act(
            "スナップショットだけです。クラッシュすると最後のスナップショットに戻り、以後のログインは失われ、ログアウトはなかったことになります。",
            "AOF を有効にする (`appendonly yes`) か、レプリカを置いてフェイルオーバーしてください。",
        ),
        NotPersisted { up_seconds } => W::act(
            format!("AOF は無効で、{up_seconds} 秒前の起動以来スナップショットもありません。再起動すると全員がログアウトします。"),
            "AOF を有効にしてください (`appendonly yes`)。ElastiCache では、複数ゾーンのレプリカと自動フェイルオーバーを使います。",
        ),
        PersistenceFailing { what } => W::act(
            format!("最後のディスク書き込みが失敗しました ({what})。このままではサーバーが書き込みを拒否します。"),
            "サーバーのログと、フォルダーの空き容量と権限を確認してください。",
        ),
        PersistenceUnseen => W::fine("INFO が許可されていないため未確認です"),

        AllPermitted { commands } => W::fine(format!("使用する {commands} 個のコマンドがすべて許可されています")),
        CommandsDenied { user, commands } => W::act(
            format!("ユーザー {user} に許可されていないコマンドがあります: {}。", commands.join(", ")),
            format!("サーバーで `ACL SETUSER {user} {}`。{ACL}。", commands.iter().map(|c| format!("+{c}")).collect::<Vec<_>>().join(" ")),
        ),
        KeysDenied { user, prefix } => W::act(
            format!("ユーザー {user} には {prefix}: で始まるキーが許可されていません。"),
            format!("アプリケーションのプレフィックスを `--prefix` で指定するか、サーバーで `ACL SETUSER {user} ~{prefix}:*` を実行してください。"),
        ),
        PermissionsUnseen { error } => W::fine(format!("未確認: {error}")),

        Rehearsed { prefix } => W::fine(format!(
            "プレフィックス {prefix} で、作成、カウント、ログイン、ログアウト、期限切れを確認しました。何も残っていません"
        )),
        NoReplicas => W::act(
            "見えているレプリカが必要数より少ないため、サーバーが書き込みを拒否しています。",
            "レプリカを復旧するか、`min-replicas-to-write` を下げてください。",
        ),
        Misconfigured => W::act(
            "スナップショットを書けないため、サーバーが書き込みを拒否しています。",
            "サーバーのログと、フォルダーの空き容量と権限を確認してください。",
        ),
        RehearsalFailed { action, error } => W::act(
            format!("「{}」で失敗しました: {error}", act(*action)),
            "ここで作ったものは 1 分以内に消えます。サーバーのログを確認し、原因が分からなければ報告してください。",
        ),
        RehearsalWrong { action, expected, found } => W::act(
            format!("「{}」の結果が違います (期待: {expected}、実際: {found})。", act(*action)),
            "間にあるものがコマンドや応答を変えているか、サーバーが互換ではありません。報告してください。",
        ),
        LeftBehind { keys } => W::act(
            format!("キーが残っています: {}。", keys.join(" ")),
            "2 分以内に自動的に消えます。",
        ),

        FolderFound { path } => W::fine(format!("{} (所有者専用)", path.display())),
        FolderMissing { path } => W::act(
            format!("{} がありません。まだ `cloakroom serve` を実行していません。", path.display()),
            "実行してください。別のフォルダーなら `--data フォルダー`、サーバーなら `cloakroom doctor redis://ホスト:ポート` と指定します。",
        ),
        FolderNotAccessible { path, error } => W::act(
            format!("{} は使えません: {error}。", path.display()),
            "このユーザーが書き込めるフォルダーを指定してください。",
        ),
        FolderOpen { path, mode } => W::act(
            format!("このマシンの他のユーザーが {} に入れます (モード {mode})。", path.display()),
            format!("`chmod 700 {}`", path.display()),
        ),
        KeyKept { path } => W::fine(format!("{} (所有者専用)", path.display())),
        KeyMissing { path } => W::fine(format!(
            "{} はまだありません。起動時に作られるか、SECRET_KEY が使われます", path.display()
        )),
        KeyOpen { path, mode } => W::act(
            format!("このマシンの他のユーザーが鍵 {} を読めます (モード {mode})。誰のクッキーでも作れてしまいます。", path.display()),
            format!("`chmod 600 {0}`。読まれた恐れがあれば、別の場所へ移してください。全員が一度ログインし直します。", path.display()),
        ),
        SessionsOpened { records } => W::fine(format!("破損なし、{records} 件")),
        SessionsInUse { holder } => W::fine(format!(
            "{}が使用中です (サービスの実行中はこれで正常です)",
            holder.map_or("別のプロセス".into(), |pid| format!("プロセス {pid} "))
        )),
        SessionsNewer { error } => W::act(
            format!("{error}。"),
            "新しいバージョンを起動するか、別のフォルダーを使ってください。",
        ),
        SessionsDamaged { error } => W::act(
            format!("{error}。"),
            "控えを戻すか、ファイルを移してセッションなしで始めてください。",
        ),
        SessionsNotAccessible { error } => W::act(
            format!("{error}。"),
            "フォルダーの中の所有者と権限を確認してください。",
        ),
    }
}
