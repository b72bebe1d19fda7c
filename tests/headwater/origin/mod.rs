//! The origin as a CDN meets it: what it promises, tried over real sockets at every kind of store
//! and listener. The numbers count the promises through; each function says its own.

mod client;
mod fields;
mod hostile;
mod life;
mod load;
mod media;
mod ranges;
pub(crate) mod s3;
mod site;
mod telling;

use site::{Assertion, Site, assertions};

const EVERYWHERE: &[Assertion] = assertions![
    ranges: [
        a01_get_gives_length_ranges_validators_and_date,
        a02_a_range_gives_206_with_its_place,
        a03_a_suffix_gives_the_end,
        a04_an_open_range_goes_to_the_end,
        a05_a_range_beyond_the_end_is_clamped,
        a06_a_range_outside_gives_416_with_the_length,
        a07_an_invalid_range_is_ignored,
        a08_an_unknown_unit_is_ignored,
        a09_several_ranges_give_all_and_never_the_first,
        a10_head_ignores_range,
        a11_if_range_compares_the_tag,
        a12_if_range_takes_no_weak_tag_and_only_the_exact_date,
        a13_if_none_match_gives_304_for_get_and_head,
        a14_not_modified_carries_what_the_200_would,
        a15_tags_win_over_dates_and_all_over_ranges,
        a16_what_is_not_as_expected_gives_412_and_broken_dates_count_for_nothing,
        a17_the_same_bytes_have_the_same_tag_everywhere,
        a18_head_is_get_without_its_body,
        a19_parts_and_not_modified_have_the_fields_of_the_whole,
        a20_an_empty_object_has_no_ranges,
    ],
    fields: [
        a21_playlists_are_mpegurl,
        a22_mpds_are_dash_xml,
        a23_media_is_video_or_audio_by_its_track,
        a25_captions_are_vtt_in_utf_8,
        a26_pictures_are_jpeg,
        a27_nobody_may_guess_another_type,
        a28_versioned_objects_are_immutable,
        a29_entry_points_are_checked_each_minute,
        a31_missing_objects_are_soon_forgotten,
        a34_the_api_is_kept_by_nobody,
        a35_media_sets_no_cookies,
        a36_nothing_varies_by_origin,
        a37_nothing_has_an_age,
        a38_heads_are_short,
        a39_date_is_now_and_nothing_expires_twice,
        a40_every_origin_may_read_and_it_is_always_said,
        a41_scripts_see_what_players_need,
        a42_a_preflight_is_answered_for_a_day,
        a43_timing_and_embedding_are_allowed,
        a44_texts_are_compressed_with_a_tag_of_their_own,
        a45_nobody_gets_a_coding_they_refuse_and_segments_have_none,
        a46_stored_objects_are_never_chunked,
    ],
    hostile: [
        a47_no_path_leads_outside,
        a48_one_object_however_its_path_is_escaped,
        a49_a_query_changes_nothing,
        a50_other_methods_are_refused_with_those_there_are,
        a51_long_urls_and_heads_are_refused,
        a52_ambiguous_requests_are_refused_and_the_connection_ends,
        a57_many_requests_on_one_connection_are_answered_in_order,
    ],
];

#[test]
fn every_promise_holds_for_the_local_store() {
    Site::local().judge(EVERYWHERE);
}

#[test]
fn every_promise_holds_through_tls() {
    Site::secure().judge(EVERYWHERE);
}

#[test]
fn every_promise_holds_at_the_delivery_listener() {
    Site::delivery().judge(EVERYWHERE);
}

#[test]
fn every_promise_holds_on_a_connection_that_was_used_for_something_else() {
    Site::handed_over().judge(EVERYWHERE);
}

#[test]
fn every_promise_holds_for_a_store_in_memory() {
    Site::memory().judge(EVERYWHERE);
}

#[test]
fn every_promise_holds_for_a_bucket() {
    Site::s3().judge(EVERYWHERE);
}

#[test]
fn every_promise_holds_for_a_bucket_of_another_make() {
    match Site::moto() {
        Some(site) => site.judge(EVERYWHERE),
        None => eprintln!("skipped: no moto_server on the path"),
    }
}

#[test]
fn slow_idle_and_many_clients_and_the_end_are_survived() {
    life::judge(&[
        (
            "a53_a_head_must_be_whole_within_five_seconds",
            life::a53_a_head_must_be_whole_within_five_seconds,
        ),
        (
            "a54_a_reader_that_is_too_slow_is_cut_off",
            life::a54_a_reader_that_is_too_slow_is_cut_off,
        ),
        (
            "a55_connections_beyond_the_cap_are_closed_and_harm_nobody",
            life::a55_connections_beyond_the_cap_are_closed_and_harm_nobody,
        ),
        (
            "a56_idle_connections_are_kept",
            life::a56_idle_connections_are_kept,
        ),
        (
            "a58_a_server_ends_without_breaking_anything_off",
            life::a58_a_server_ends_without_breaking_anything_off,
        ),
        (
            "a58_a_reader_that_never_ends_does_not_keep_it",
            life::a58_a_reader_that_never_ends_does_not_keep_it,
        ),
    ]);
}

#[test]
fn many_clients_and_a_failing_store_are_survived() {
    load::Bench::new().judge(&[
        (
            "a63_a_thousand_who_ask_at_once_cost_one_fetch",
            load::a63_a_thousand_who_ask_at_once_cost_one_fetch,
        ),
        (
            "a64_scattered_ranges_fetch_each_block_once",
            load::a64_scattered_ranges_fetch_each_block_once,
        ),
        (
            "a65_a_leader_that_goes_away_hurts_nobody",
            load::a65_a_leader_that_goes_away_hurts_nobody,
        ),
        (
            "a66_a_failed_fetch_is_soon_tried_again_and_not_by_all",
            load::a66_a_failed_fetch_is_soon_tried_again_and_not_by_all,
        ),
        (
            "a67_without_its_store_it_serves_what_it_holds",
            load::a67_without_its_store_it_serves_what_it_holds,
        ),
        (
            "a46_a_body_that_breaks_off_is_never_ended_in_order",
            load::a46_a_body_that_breaks_off_is_never_ended_in_order,
        ),
        (
            "a46_a_body_that_never_begins_is_an_error",
            load::a46_a_body_that_never_begins_is_an_error,
        ),
        (
            "a68_slow_readers_take_little_memory",
            load::a68_slow_readers_take_little_memory,
        ),
    ]);
}

/// The time.
#[expect(
    clippy::disallowed_methods,
    reason = "the answers of a server are compared with it"
)]
fn now() -> std::time::SystemTime {
    std::time::SystemTime::now()
}
