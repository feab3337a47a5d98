//! Certificates stored and audited per second, as the service does it: an intent with its audit record, then the
//! completion with its audit record and a notice, each durable before it is answered; 256 at a time. No signatures.

use sekisho_testkit::postgres;

use sekisho_ca::serial;
use sekisho_config::issuer::{StoreConfig, StoreUrl};
use sekisho_config::{Place, Placed};
use sekisho_issuer::audit::{ActResult, Entry};
use sekisho_issuer::secret::ServiceSecret;
use sekisho_issuer::store::{
    Ask, CertificateRow, CompletedRow, Contact, ContractRow, Everyone, NewNotice, NoticeAbout, Store, UserRow, Write,
    change, init, open,
};
use sekisho_lifecycle::profile::{NoticeEvent, RoleName};
use sekisho_lifecycle::{
    Certificate, Contract, ContractId, ContractOneTimePassword, Counter, Feature, Held, Intent, Next, Target, User,
    UserId, UserKey,
};
use sekisho_pki::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

const NOW: Timestamp = Timestamp::from_unix(1_795_311_060);
const CERTIFICATES: u32 = 20_000;
const USERS_OF_A_CONTRACT: u32 = 100;
const AT_A_TIME: usize = 256;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // A temporary folder can be in memory: the build's own is on a disk.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let sqlite = StoreUrl::Sqlite(folder.path().join("issuer.db"));
    for (name, url) in [("sqlite", sqlite), ("postgres", StoreUrl::Postgres(postgres::new_database()))] {
        runtime.block_on(run(name, url));
    }
}

async fn run(name: &str, url: StoreUrl) {
    let place = Place { file: "bench".into(), line: 1, key: "url".into() };
    let url = Placed { value: url, place };
    let config = StoreConfig { url, connections: 4, waiting: 10_000, together: AT_A_TIME };
    let secret = || Arc::new(ServiceSecret::new(&[7; 32]).unwrap());
    let _ = init(&config, secret()).await;
    let store = open(&config, secret()).await.unwrap();
    for contract in 0..CERTIFICATES / USERS_OF_A_CONTRACT {
        let users = (0..USERS_OF_A_CONTRACT).map(|user| row(&key(contract, user))).collect();
        let write = Write { contract: Some(contract_row(contract)), users, ..Write::default() };
        change(&*store, ask(&key(contract, 0), None), |_| (write, ())).await.unwrap();
    }
    let next = Arc::new(AtomicU32::new(0));
    let start = Instant::now();
    let workers: Vec<_> = (0..AT_A_TIME).map(|_| tokio::spawn(work(Arc::clone(&store), Arc::clone(&next)))).collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "issuer_store/{name}: {:.0} certificates/s ({CERTIFICATES} in {seconds:.2} s)",
        f64::from(CERTIFICATES) / seconds
    );
    assert_eq!(store.audit(u64::from(2 * CERTIFICATES), 2).await.unwrap().len(), 1);
    store.close().await;
}

async fn work(store: Arc<dyn Store>, next: Arc<AtomicU32>) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= CERTIFICATES {
            return;
        }
        // Neighbours are of different contracts, as customers are.
        let contracts = CERTIFICATES / USERS_OF_A_CONTRACT;
        certificate(&*store, key(number % contracts, number / contracts)).await;
    }
}

async fn certificate(store: &dyn Store, user: UserKey) {
    let (serial, mut public_key) = (serial::random().unwrap(), [0; 32]);
    public_key[..16].copy_from_slice(&serial.as_bytes()[..13].repeat(2)[..16]);
    let of = user.clone();
    let intent = change(store, ask(&user, Some(public_key)), move |found| {
        let mut row = found.user.clone().unwrap();
        let intent = Intent {
            serial,
            common_name: format!("{} {} 20261122013100000000", of.contract, of.user),
            organizational_unit: Some("(9999)ANSER-WEB(BizSOL)".to_owned()),
            organization: Some("(9999)NTT DATA CORPORATION".to_owned()),
            not_before: NOW,
            not_after: NOW.plus_years(1),
            issue_number: 1,
        };
        row.user.next = Next::Acquiring { offer: None, intent: intent.clone() };
        let begun = CertificateRow {
            user: of.clone(),
            authority: "issuing".into(),
            intent: intent.clone(),
            public_key,
            begun_at: NOW,
            der: None,
        };
        let audit = vec![entry(&of, "acquire")];
        (
            Write {
                contract: found.contract.clone(),
                users: vec![row],
                intent: Some(begun),
                audit,
                ..Write::default()
            },
            intent,
        )
    });
    let intent = intent.await.unwrap();
    let of = user.clone();
    change(store, ask(&user, None), move |found| {
        let mut row = found.user.clone().unwrap();
        row.user.next = Next::Nothing;
        row.user.certificate = Certificate::Held(Held {
            serial,
            not_before: intent.not_before,
            not_after: intent.not_after,
            issue_number: 1,
            registered_at: NOW,
        });
        let notice = NewNotice {
            mail: None,
            to: of.clone(),
            about: NoticeAbout::Event(NoticeEvent::Issued),
            once: format!("issued/{serial}").into(),
            serial: Some(serial),
            not_after: Some(intent.not_after),
            at: NOW,
        };
        // As long as a real one; its fingerprint is its own.
        let der: Vec<u8> = serial.as_bytes().iter().copied().cycle().take(900).collect();
        let write = Write {
            contract: found.contract.clone(),
            users: vec![row],
            certificate: Some(CompletedRow { serial, der: der.into() }),
            notices: vec![notice],
            audit: vec![entry(&of, "complete")],
            ..Write::default()
        };
        (write, ())
    })
    .await
    .unwrap();
}

fn key(contract: u32, user: u32) -> UserKey {
    let contract = ContractId::new(&format!("{contract:08}")).unwrap();
    UserKey { contract, user: UserId::new(&format!("user{user:04}")).unwrap() }
}

fn row(key: &UserKey) -> UserRow {
    let mail = Some(format!("{}@example.jp", key.user).into());
    let contact = Contact { name: Some("山田 太郎".into()), mail, ..Contact::default() };
    UserRow { user: User::new(key.clone(), RoleName("general".into())), contact, since: NOW }
}

fn contract_row(number: u32) -> ContractRow {
    let contract = Contract {
        id: key(number, 0).contract,
        feature: Feature::On,
        one_time_password: ContractOneTimePassword::Used,
        wrong_tries: Counter::default(),
    };
    ContractRow { contract, profile: "anser-bizsol".into(), since: NOW }
}

fn ask(user: &UserKey, public_key: Option<[u8; 32]>) -> Ask {
    Ask {
        contract: user.contract.clone(),
        user: Some(user.user.clone()),
        actor: None,
        address: Some("192.0.2.1".into()),
        public_key,
        idempotency: None,
        everyone: Everyone::No,
        names: Vec::new(),
    }
}

fn entry(user: &UserKey, command: &str) -> Entry {
    Entry {
        at: NOW,
        caller: "ib".into(),
        actor: None,
        command: command.into(),
        target: Target::User(user.clone()),
        channel: None,
        screen: Some("BRSK018".into()),
        form: None,
        serial: None,
        address: Some("192.0.2.1".into()),
        reference: "01JDA0000000000000000000".into(),
        result: ActResult::Done,
    }
}
