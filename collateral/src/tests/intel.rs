//! What Intel's service has, and a PCCS after it.

use duckblind_attestation::evidence::{Endorsements, TdxCollateral};
use duckblind_protocol::coded::{Coded as _, Exit};
use duckblind_protocol::ids::UnixTime;

use super::server::{Reply, Server};
use super::vectors::{folder, tdx};
use super::{config, directory, freshness, offline, online};
use crate::intel::chain::IssuerChain;
use crate::{Collateral, Config, Freshness, IntelService, PckCa, TdxPlatform, parse_issuer_chain};

const TCB: &str = "/tdx/certification/v4/tcb?fmspc=B0C06F000000";
const QE: &str = "/tdx/certification/v4/qe/identity";
const PCK_CRL: &str = "/sgx/certification/v4/pckcrl?ca=platform&encoding=der";
const ROOT_CRL: &str = "/IntelSGXRootCA.der";
const PCCS_ROOT_CRL: &str = "/sgx/certification/v4/rootcacrl";
/// In 2025-06, inside every window of [`collateral`].
const NOW: UnixTime = UnixTime(1_750_400_000);
const DAY: i64 = 24 * 3600;
const PLATFORM: TdxPlatform = TdxPlatform {
    fmspc: [0xb0, 0xc0, 0x6f, 0, 0, 0],
    ca: PckCa::Platform,
};

fn collateral() -> Option<TdxCollateral> {
    tdx("Phala-Network_dcap-qvl/tdx_quote_collateral.json")
}

fn signed(member: &str, text: &str, signature: &[u8], header: &'static str, chain: &str) -> Reply {
    let signature = hex::encode(signature);
    let body = format!("{{\"{member}\":{text},\"signature\":\"{signature}\"}}");
    Reply::ok(body).header(header, IssuerChain::encode(chain))
}

fn tcb(c: &TdxCollateral) -> Reply {
    let header = "TCB-Info-Issuer-Chain";
    signed(
        "tcbInfo",
        &c.tcb_info,
        &c.tcb_info_signature,
        header,
        &c.tcb_info_issuer_chain,
    )
}

fn play(server: &Server, c: &TdxCollateral) {
    let header = "SGX-Enclave-Identity-Issuer-Chain";
    let (identity, signature) = (&c.qe_identity, &c.qe_identity_signature);
    let qe = signed(
        "enclaveIdentity",
        identity,
        signature,
        header,
        &c.qe_identity_issuer_chain,
    );
    let chain = IssuerChain::encode(&c.pck_crl_issuer_chain);
    server.play(TCB, [tcb(c)]);
    server.play(QE, [qe]);
    server.play(
        PCK_CRL,
        [Reply::ok(c.pck_crl.clone()).header("SGX-PCK-CRL-Issuer-Chain", chain)],
    );
    server.play(ROOT_CRL, [Reply::ok(c.root_ca_crl.clone())]);
    // A PCCS has it as text.
    server.play(
        PCCS_ROOT_CRL,
        [Reply::ok(hex::encode(&c.root_ca_crl) + "\n")],
    );
}

fn carrying(tdx: &TdxCollateral) -> Endorsements {
    Endorsements {
        tdx: Some(tdx.clone()),
        ..Endorsements::default()
    }
}

#[tokio::test]
async fn everything_is_fetched_byte_for_byte_and_kept() {
    let Some(expected) = collateral() else { return };
    let server = Server::start().await;
    play(&server, &expected);
    let directory = directory();
    let nothing = Endorsements::default();
    let gathered = online(&server, directory.path())
        .for_tdx(&PLATFORM, &nothing, NOW)
        .await
        .unwrap();
    assert_eq!(gathered.endorsements, carrying(&expected));
    assert_eq!(freshness(&gathered), vec![Freshness::Fetched; 4]);
    assert_eq!(server.asked_at_all(), 4);
    let gathered = offline(&server, directory.path())
        .for_tdx(&PLATFORM, &nothing, UnixTime(NOW.0 + 60))
        .await
        .unwrap();
    assert_eq!(gathered.endorsements, carrying(&expected));
    assert_eq!(freshness(&gathered), vec![Freshness::Kept; 4]);
    assert_eq!(server.asked_at_all(), 4);
}

#[tokio::test]
async fn a_pccs_has_the_root_list_in_its_own_way() {
    let Some(expected) = collateral() else { return };
    let server = Server::start().await;
    play(&server, &expected);
    let directory = directory();
    let config = Config {
        intel: IntelService::Pccs(server.origin()),
        ..config(&server)
    };
    let gathered = Collateral::new(config, directory.path())
        .unwrap()
        .for_tdx(&PLATFORM, &Endorsements::default(), NOW)
        .await
        .unwrap();
    assert_eq!(gathered.endorsements, carrying(&expected));
    assert_eq!(
        (server.asked(PCCS_ROOT_CRL), server.asked(ROOT_CRL)),
        (1, 0)
    );
}

#[tokio::test]
async fn refreshed_at_half_time_and_gone_at_the_end() {
    let Some(expected) = collateral() else { return };
    let server = Server::start().await;
    play(&server, &expected);
    let directory = directory();
    let collateral = online(&server, directory.path());
    let nothing = Endorsements::default();
    let at = |now| collateral.for_tdx(&PLATFORM, &nothing, UnixTime(now));
    at(NOW.0).await.unwrap();
    // Levels are issued for 30 days, lists are looked at daily.
    let gathered = at(NOW.0 + 12 * DAY).await.unwrap();
    assert_eq!(
        freshness(&gathered),
        [
            Freshness::Kept,
            Freshness::Kept,
            Freshness::Fetched,
            Freshness::Fetched
        ]
    );
    let late = NOW.0 + 16 * DAY;
    at(late).await.unwrap();
    assert_eq!((server.asked(TCB), server.asked(QE)), (2, 2));
    // The same was served again: not asked for at every turn.
    at(late + 3599).await.unwrap();
    assert_eq!(server.asked(TCB), 2);
    at(late + 3600).await.unwrap();
    assert_eq!(server.asked(TCB), 3);
    server.play(TCB, [Reply::status(503)]);
    let gathered = at(late + 3 * 3600).await.unwrap();
    assert!(matches!(freshness(&gathered)[0], Freshness::KeptAfter(_)));
    let end = gathered.ends().unwrap();
    assert!(at(end.0).await.is_ok());
    let error = at(end.0 + 1).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Stale, "{error}");
}

#[tokio::test]
async fn what_is_carried_serves_where_there_is_no_network() {
    let Some(expected) = collateral() else { return };
    let server = Server::start().await;
    let directory = directory();
    let without = offline(&server, directory.path());
    let gathered = without
        .for_tdx(&PLATFORM, &carrying(&expected), NOW)
        .await
        .unwrap();
    assert_eq!(gathered.endorsements, carrying(&expected));
    assert_eq!(freshness(&gathered), vec![Freshness::Carried; 4]);
    let other = TdxPlatform {
        fmspc: [0x90, 0xc0, 0x6f, 0, 0, 0],
        ..PLATFORM
    };
    let processor = TdxPlatform {
        ca: PckCa::Processor,
        ..PLATFORM
    };
    let late = UnixTime(1_795_000_000);
    let mut changed = expected.clone();
    changed.tcb_info = changed.tcb_info.replacen("UpToDate", "OutOfDate", 1);
    assert_ne!(changed, expected);
    for (platform, carried, now) in [
        (other, &expected, NOW),
        (processor, &expected, NOW),
        (PLATFORM, &expected, late),
        (PLATFORM, &changed, NOW),
    ] {
        let carried = carrying(carried);
        let gathered = without.for_tdx(&platform, &carried, now);
        assert_eq!(gathered.await.unwrap_err().code(), "DB-COL-023");
    }
}

#[tokio::test]
async fn answers_with_one_thing_wrong_are_neither_used_nor_kept() {
    let Some(good) = collateral() else { return };
    let platforms = tdx("normalized/collateral_attrs_90c06f.json").unwrap();
    let server = Server::start().await;
    let change = |change: fn(&mut TdxCollateral, &TdxCollateral)| {
        let mut changed = good.clone();
        change(&mut changed, &platforms);
        changed
    };
    let all = [
        change(|c, _| c.tcb_info.push(' ')),
        change(|c, _| c.tcb_info = c.tcb_info.replacen("UpToDate", "OutOfDate", 1)),
        change(|c, _| c.tcb_info_signature[7] ^= 1),
        change(|c, other| {
            c.tcb_info.clone_from(&other.tcb_info);
            c.tcb_info_signature.clone_from(&other.tcb_info_signature);
        }),
        change(|c, _| c.tcb_info_issuer_chain.clone_from(&c.pck_crl_issuer_chain)),
        change(|c, _| c.tcb_info_issuer_chain.clear()),
        change(|c, _| c.qe_identity_signature[7] ^= 1),
        change(|c, _| c.pck_crl[100] ^= 1),
        change(|c, _| c.pck_crl.push(0)),
        change(|c, _| c.pck_crl.clone_from(&c.root_ca_crl)),
        change(|c, _| c.pck_crl_issuer_chain.clone_from(&c.tcb_info_issuer_chain)),
        change(|c, _| *c.root_ca_crl.last_mut().unwrap() ^= 1),
        change(|c, _| c.root_ca_crl.clone_from(&c.pck_crl)),
    ];
    for (at, bad) in all.iter().enumerate() {
        let directory = directory();
        play(&server, bad);
        let nothing = Endorsements::default();
        let collateral = online(&server, directory.path());
        let error = collateral.for_tdx(&PLATFORM, &nothing, NOW).await;
        if at == 0 {
            // Space after the member is not the member's.
            assert_eq!(error.unwrap().endorsements, carrying(&good));
            continue;
        }
        let error = error.unwrap_err();
        assert_eq!(error.exit(), Exit::Malformed, "{at}: {error}");
        // What was wrong is asked for again, and right now.
        play(&server, &good);
        let gathered = collateral.for_tdx(&PLATFORM, &nothing, NOW).await.unwrap();
        assert_eq!(gathered.endorsements, carrying(&good), "{at}");
    }
}

#[test]
fn chains_of_two_that_end_in_the_pinned_root() {
    let Some(good) = collateral() else { return };
    let header = IssuerChain::encode(&good.tcb_info_issuer_chain);
    assert_eq!(
        parse_issuer_chain(&header).unwrap().pem(),
        good.tcb_info_issuer_chain
    );
    let end = "-----END CERTIFICATE-----\n";
    let (signer, root) = good.tcb_info_issuer_chain.split_once(end).unwrap();
    let other = good.pck_crl_issuer_chain.split_once(end).unwrap().0;
    let (signer, other) = (format!("{signer}{end}"), format!("{other}{end}"));
    // A platform and its authority: rightly signed, with no root above.
    let chain = tdx("Phala-Network_dcap-qvl/tdx_quote_td15ex_collateral.json").unwrap();
    let chain = chain.pck_certificate_chain.unwrap();
    let platform = chain.split_inclusive(end).take(2).collect();
    for bad in [
        signer.clone(),
        root.to_owned(),
        format!("{root}{signer}"),
        format!("{signer}{signer}"),
        format!("{signer}{other}{root}"),
        format!("{signer}{}", root.replacen("MII", "MIJ", 1)),
        platform,
    ] {
        assert!(
            parse_issuer_chain(&IssuerChain::encode(&bad)).is_err(),
            "{bad}"
        );
    }
    // A signer of Intel's that another signer of Intel's would have signed.
    let fine = parse_issuer_chain(&IssuerChain::encode(&format!("{other}{root}")));
    assert!(fine.is_ok());
}

#[test]
fn platforms_say_what_they_need() {
    let Some(folder) = folder() else { return };
    let tdx = tdx("Phala-Network_dcap-qvl/tdx_quote_td15ex_collateral.json").unwrap();
    let chain = tdx.pck_certificate_chain.unwrap();
    assert_eq!(TdxPlatform::of_pck(chain.as_bytes()).unwrap(), PLATFORM);
    // The chain inside quotes, as of several vendors.
    for (quote, fmspc) in [
        (
            "google_go-tdx-guest__tdx_prod_quote_SPR_E4.quote.bin",
            "50806f000000",
        ),
        ("Dstack-TEE_dstack__quote-report.quote.bin", "90c06f000000"),
        (
            "confidential-containers_trustee__tdx_quote_6.quote.bin",
            "00a06d080000",
        ),
    ] {
        let quote = std::fs::read(folder.join("tdx/normalized").join(quote)).unwrap();
        let begin = b"-----BEGIN CERTIFICATE-----";
        let at = quote.windows(begin.len()).position(|w| w == begin).unwrap();
        let platform = TdxPlatform::of_pck(&quote[at..]).unwrap();
        assert_eq!(hex::encode(platform.fmspc), fmspc);
        assert_eq!(platform.ca, PckCa::Platform);
    }
    for bad in [
        tdx.tcb_info_issuer_chain.as_bytes(),
        b"",
        b"\x30\x00",
        b"-----BEGIN",
    ] {
        assert!(TdxPlatform::of_pck(bad).is_err());
    }
}
