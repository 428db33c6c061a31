//! Every form of trace: what is read, what is refused, and what is said about it.

use super::*;

fn read(text: &str) -> Result<Trace, TraceError> {
    Trace::read("made_up", text, &Told::default())
}

#[test]
fn a_series_keeps_its_gaps_and_zeros() {
    let trace = read("time_s,value\n0,5\n60,0\n180,7.5\n").unwrap();
    assert_eq!(trace.bucket, Duration::from_secs(60));
    assert_eq!(trace.values, [Some(5.0), Some(0.0), None, Some(7.5)]);
    assert_eq!(trace.hygiene.gaps, 1);
    assert_eq!(trace.kind, Kind::RequestsPerBucket);
}

#[test]
fn broken_rows_are_named_by_line_and_leave_gaps() {
    let text = "time_s,value\n0,1\n60,NaN\n120,-3\n180,x\n240\nnoon,5\n300,6\n360,7\n420,8\n480,9\n540,1\n";
    let trace = read(text).unwrap();
    let said: Vec<(usize, &str)> =
        trace.hygiene.broken.iter().map(|broken| (broken.line, broken.because.as_str())).collect();
    assert_eq!(
        said,
        [
            (3, "the value is not a number"),
            (4, "the value -3 is negative"),
            (5, "`x` is no number"),
            (6, "the row has no value"),
            (7, "`noon` is no time"),
        ]
    );
    assert_eq!(trace.values[..6], [Some(1.0), None, None, None, None, Some(6.0)]);
}

#[test]
fn what_is_no_trace_is_refused_with_its_line() {
    for (text, said) in [
        ("", "no usable row"),
        ("a,b\n1,2\n", "line 1: `a,b` begins no form"),
        ("time_s,load\n0,1\n", "no columns `time_s` and `value`"),
        ("time_s,value\n0,x\n1,y\n", "no usable row in it; line 2: `x` is no number"),
        ("time_s,value\n0,1\n1,y\n2,y\n", "2 of 3 rows cannot be used; line 3"),
        ("time_s,value\n5,1\n", "one point in time"),
        ("time_s,value\n0,1\n60,1\n150.037,1\n", "line 4: its time is on no grid"),
        ("{\"Datapoints\": 3}", "no answer of CloudWatch"),
        ("{\"status\":\"error\",\"error\":\"parse error\",\"x\":\"resultType\"}", "no answer"),
    ] {
        match read(text) {
            Err(error) if error.to_string().contains(said) => {}
            Err(error) => {
                assert!(said == "no answer" && error.to_string().contains("parse error"), "{error}")
            }
            Ok(trace) => panic!("{text:?} gave {trace:?}"),
        }
    }
}

#[test]
fn dates_repeats_and_disorder_are_settled() {
    let text = "timestamp,value\n2014-02-14 14:32:00,2\n2014-02-14 14:27:00,1\n2014-02-14 14:32:00,9\n";
    let trace = read(text).unwrap();
    assert_eq!(trace.values, [Some(1.0), Some(2.0)]);
    assert_eq!((trace.hygiene.repeated, trace.hygiene.unsorted), (1, 1));
    assert_eq!(trace.start.unwrap().to_string(), "2014-02-14T14:27:00Z");
}

/// Found by a tester: a second of jitter made 60 buckets of each, 59 of them gaps.
#[test]
fn clocks_that_wander_are_on_the_grid_that_was_meant() {
    let rows = |stray: &str| {
        let row =
            |at: u64| format!("{},{}\n", at * 60 + [0, 1, 0, 2, 1][usize::try_from(at % 5).unwrap()], at + 1);
        format!("time_s,value\n{}{stray}", (0..300).filter(|at| at % 70 != 69).map(row).collect::<String>())
    };
    let trace = read(&rows("")).unwrap();
    assert_eq!((trace.bucket, trace.values.len(), trace.hygiene.gaps), (Duration::from_secs(60), 300, 4));
    assert_eq!(trace.values[..3], [Some(1.0), Some(2.0), Some(3.0)]);
    assert!(trace.hygiene.notes[0].contains("lie beside a grid of 60 s"), "{:?}", trace.hygiene.notes);
    let trace = read(&rows("18030,7\n")).unwrap();
    assert_eq!((trace.values.len(), trace.hygiene.broken_total), (300, 1));
    assert_eq!(trace.hygiene.broken[0].because, "its time lies between two buckets");
    // Readings now and then are no jitter.
    let trace = read("time_s,value\n0,1\n120,1\n180,1\n900,2\n1500,1\n1560,4\n").unwrap();
    assert_eq!((trace.bucket, trace.values.len(), trace.hygiene.gaps), (Duration::from_secs(60), 27, 21));
}

#[test]
fn a_stated_bucket_rules() {
    let told = Told { bucket: Some(Duration::from_secs(30)), kind: Some(Kind::Rate), ..Told::default() };
    let trace = Trace::read("made_up", "time_s,value\n0,1\n29,2\n90,3\n", &told).unwrap();
    assert_eq!(trace.values, [Some(1.0), Some(2.0), None, Some(3.0)]);
    assert_eq!(trace.kind, Kind::Rate);
}

#[test]
fn arrivals_are_counted_and_kept() {
    let trace = read("time_s\n0.0\n0.2\n3.9\n2.0\n2.999\n").unwrap();
    assert_eq!(trace.values, [Some(2.0), Some(0.0), Some(2.0), Some(1.0)]);
    assert_eq!(trace.arrivals, [0.0, 0.2, 2.0, 2.999, 3.9]);
    assert_eq!(trace.hygiene.unsorted, 1);
}

#[test]
fn cloudwatch_in_both_answers_and_spellings() {
    let statistics = r#"{"Label":"CPUUtilization","Datapoints":[
        {"Timestamp":"2014-04-13T04:10:00+00:00","Average":2.5,"Unit":"Percent"},
        {"Unit":"Percent","Average":1.5,"Timestamp":"2014-04-13T04:00:00Z"},
        {"Timestamp":"2014-04-13T04:15:00Z","Average":4}]}"#;
    let trace = read(statistics).unwrap();
    assert_eq!(trace.values, [Some(1.5), None, Some(2.5), Some(4.0)]);
    assert_eq!((trace.kind, trace.bucket), (Kind::CpuPercent, Duration::from_secs(300)));
    let data = r#"{"MetricDataResults":[{"Id":"m1","Label":"RequestCount","StatusCode":"PartialData",
        "Timestamps":["2014-04-13T04:02:00Z","2014-04-13T04:01:00+00:00"],"Values":[7,6]}]}"#;
    let trace = read(data).unwrap();
    assert_eq!(trace.values, [Some(6.0), Some(7.0)]);
    assert_eq!(trace.hygiene.notes, ["the series is not whole (StatusCode PartialData)"]);
}

#[test]
fn prometheus_series_are_added_up_and_nan_is_a_gap() {
    let text = r#"{"status":"success","data":{"resultType":"matrix","result":[
        {"metric":{"pod":"a"},"values":[[1700000000,"1.5"],[1700000015,"2"],[1700000030,"NaN"],[1700000045,"1"]]},
        {"metric":{"pod":"b"},"values":[[1700000000,"1"],[1700000015,"1"],[1700000045,"1"]]}]}}"#;
    let trace = read(text).unwrap();
    assert_eq!(trace.values, [Some(2.5), Some(3.0), None, Some(2.0)]);
    assert_eq!((trace.hygiene.broken_total, trace.kind), (1, Kind::Rate));
}

#[test]
fn access_logs_in_three_forms() {
    let common = "1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 200 2326\n\
        nonsense\n\
        1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 200 2326\n\
        1.2.3.4 - - [10/Oct/2000:13:55:38 -0700] \"GET / HTTP/1.0\" 200 1 \"-\" \"Mozilla/5.0\"\n";
    let trace = read(common).unwrap();
    assert_eq!(trace.values, [Some(2.0), Some(0.0), Some(1.0)]);
    assert_eq!(trace.hygiene.broken, [Broken { line: 2, because: "no time in brackets".to_owned() }]);
    assert_eq!(trace.start.unwrap().to_string(), "2000-10-10T20:55:36Z");
    let json = "{\"ts\":1700000000.25,\"status\":200}\n{\"time\":\"2023-11-14T22:13:21Z\"}\n{\"ts\":1700000001250}\n";
    let trace = read(json).unwrap();
    assert_eq!(trace.values, [Some(2.0), Some(1.0)]);
}

/// Found by fuzzing: a time that is far off must not cost memory for all that would lie between.
#[test]
fn a_request_in_a_million_years_is_refused() {
    let refused = Trace::read("far", "time_s\n0.5\n0.7\n700000000000\n", &Told::default()).unwrap_err();
    assert!(refused.to_string().contains("nearly all would be empty"), "{refused}");
}
