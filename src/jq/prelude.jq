# What the language offers, as far as it is defined in the language itself.
# Every name and number of arguments is defined once; a definition may use
# itself and those above it. Names with two underscores are not for mappings.

# Values
def null: [][0];
# Bound to a variable these are paths, too: none, and no errors of their own.
def empty: {}[] as $none | .;
def true: 0 == 0;
def false: 0 != 0;
def not: if . then false else true end;
def error: error_empty as $none | .;
def error(message): (message | error_empty) as $none | .;
def tostring: "\(.)";
def toarray: if type == "array" then . else [.] end;
def toboolean: if type == "boolean" then . elif . == "true" then true elif . == "false" then false else error("\(type) cannot be parsed as a boolean") end;
def tonumber: type as $type | if $type == "number" then . elif $type == "string" then __tonumber else error("\($type) cannot be parsed as a number") end;

# Selection
def select(f): if f then . else empty end;
def values: select(. != null);
def nulls: select(. == null);
def booleans: select(type == "boolean");
def numbers: select(type == "number");
def strings: select(type == "string");
def arrays: select(type == "array");
def objects: select(type == "object");
def iterables: select(type | . == "array" or . == "object");
def scalars: select(type | . != "array" and . != "object");

# Generators
def range($to): range(0; $to; 1);
def range($from; $to): range($from; $to; 1);
def repeat(f): def again: f, again; again;
def recurse(f): def down: ., (f | down); down;
def recurse: recurse(.[]?);
def recurse(f; condition): def down: ., (f | select(condition) | down); down;
def while(condition; update): def loop: if condition then ., (update | loop) else empty end; loop;
def until(condition; update): def loop: if condition then . else update | loop end; loop;
def first: .[0];
def last: .[-1];
def nth($n): .[$n];
def limit($n; f): if $n < 0 then error("limit does not take a negative number") else __limit($n; f) end;
def nth($n; f): if $n < 0 then error("nth does not count from the end") else first(skip($n; f)) end;
def isempty(f): first((f | false), true);
def any(f; condition): isempty(first(f | condition or empty)) | not;
def any(condition): any(.[]; condition);
def any: any(.[]; .);
def all(f; condition): isempty(first(f | condition and empty));
def all(condition): all(.[]; condition);
def all: all(.[]; .);
def IN(stream): any(stream == .; .);
def IN(source; stream): any(source == stream; .);
def combinations: if length == 0 then [] else .[0][] as $head | (.[1:] | combinations) as $tail | [$head] + $tail end;
def combinations($n): . as $set | [range($n) | $set] | combinations;

# Arrays and objects
def map(f): [.[] | f];
def map_values(f): __modify(.[]; f);
def add: __add;
def add(f): [f] | __add;
def keys: keys_unsorted | sort;
def to_entries: [key_values[] as [$key, $value] | {key: $key, value: $value}];
def __entry_key: if has("key") and .key != null then .key elif has("k") and .k != null then .k elif has("name") and .name != null then .name elif has("Name") and .Name != null then .Name elif has("Key") and .Key != null then .Key elif has("K") and .K != null then .K elif .key == false then false else null end | if type == "string" then . elif type | . == "number" or . == "boolean" or . == "null" then tojson else error("cannot use \(type) as the key of an object") end;
def __entry_value: if has("value") then .value elif has("v") then .v elif has("Value") then .Value else .V end;
def from_entries: reduce .[] as $entry ({}; __assign(.[$entry | __entry_key]; $entry | __entry_value));
def with_entries(f): to_entries | map(f) | from_entries;
def unique_by(f): [group_by(f)[] | .[0]];
def unique: unique_by(.);
def min_by(f): first(min_by_or_empty(f), null);
def max_by(f): first(max_by_or_empty(f), null);
def min: min_by(.);
def max: max_by(.);
def __flat($depth): .[] | if type == "array" and $depth != 0 then __flat($depth - 1) else . end;
def flatten($depth): if $depth < 0 then error("flatten does not take a negative depth") else [__flat($depth)] end;
def flatten: [__flat(-1)];
def transpose: (map(length) | max // 0) as $length | [range($length) as $i | [.[][$i]]];
def in(xs): . as $key | xs | has($key);
def inside(xs): . as $part | xs | contains($part);
def index($part): indices($part)[0];
def rindex($part): indices($part)[-1];
def INDEX(stream; f): reduce stream as $row ({}; __assign(.[$row | f | tostring]; $row));
def INDEX(f): INDEX(.[]; f);
def JOIN($index; f): [.[] | [., $index[f]]];
def JOIN($index; stream; f): stream | [., $index[f]];
def JOIN($index; stream; f; join): stream | [., $index[f]] | join;
def ascii: [.] | implode;
def walk(f): def w: if type == "object" then map_values(w) elif type == "array" then map(w) else . end | f; w;

# Paths
def paths: path(recurse) | select(length > 0);
def paths(f): . as $top | paths | select(. as $path | $top | getpath($path) | f);
def leaf_paths: paths(scalars);
def del(f): delpaths([path(f)]);
def pick(f): . as $top | reduce path(f) as $path (null; setpath($path; $top | getpath($path)));
def tostream: path(def r: (.[]? | r), .; r) as $path | getpath($path) | reduce path(.[]?) as $part ([$path, .]; [$path + $part]);
def fromstream(f): {value: null, done: false} as $start | foreach f as $event ($start; if .done then $start else . end | if $event | length == 2 then {value: (.value | setpath($event[0]; $event[1])), done: ($event[0] | length == 0)} else {value, done: ($event[0] | length == 1)} end; if .done then .value else empty end);
def truncate_stream(stream): . as $depth | null | stream | if .[0] | length > $depth then [.[0][$depth:]] + .[1:] else empty end;

# Numbers
def nan: __nan;
def infinite: __infinite;
def isnan: __isnan;
def isinfinite: . == infinite or . == -infinite;
def isnormal: type == "number" and ((. == 0 or isnan or isinfinite) | not);
def finites: select(type == "number" and (isinfinite or isnan | not));
def normals: select(isnormal);
def abs: if type != "number" then error("\(type) has no absolute value") elif . < 0 then -. else . end;
def pow10: exp10;
def gamma: lgamma;
def logb: if . == 0 then -infinite elif isinfinite then infinite elif isnan then . else ilogb end;
def significand: if . == 0 or isinfinite or isnan then . else scalbln(.; -(ilogb)) end;
def scalb($x; $exponent): $x * pow(2; $exponent);
def have_literal_numbers: true;
def have_decnum: false;

# Strings
def trimstr($part): ltrimstr($part) | rtrimstr($part);

# Regular expressions. A pattern may be given as an array with its flags.
def __pattern($re): if $re | type == "array" then $re[0] else $re end;
def __flags($re; $flags): if $re | type == "array" then ($re[1] // "") + ($flags // "") else $flags // "" end;
def __match($re; $flags): __matches(__pattern($re); __flags($re; $flags));
def __groups: reduce (.[1:][] | select(.name != null)) as $group ({}; __assign(.[$group.name]; $group.string));
def __object: .[0] + {captures: .[1:]};
def test($re; $flags): __match($re; $flags) | length > 0;
def test($re): test($re; null);
def match($re; $flags): __match($re; $flags)[] | __object;
def match($re): match($re; null);
def capture($re; $flags): __match($re; $flags)[] | __groups;
def capture($re): capture($re; null);
def scan($re; $flags): __match($re; "g" + ($flags // ""))[] | if length > 1 then [.[1:][].string] else .[0].string end;
def scan($re): scan($re; null);
def split($re; $flags): __split(__pattern($re); __flags($re; "g" + ($flags // "")));
def splits($re; $flags): split($re; $flags)[];
def splits($re): splits($re; null);
def sub($re; f; $flags): [__split_matches(__pattern($re); __flags($re; $flags))[] | if type == "array" then first(__groups | f) else . end] | __add;
def sub($re; f): sub($re; f; null);
def gsub($re; f; $flags): sub($re; f; "g" + ($flags // ""));
def gsub($re; f): gsub($re; f; null);

# Dates
def todateiso8601: if type | . == "number" or . == "array" then (if type == "number" then floor else . end) | strftime("%Y-%m-%dT%H:%M:%SZ") else error("todate needs a number or a broken down time") end;
def fromdateiso8601: strptime("%Y-%m-%dT%H:%M:%SZ") | mktime;
def todate: todateiso8601;
def fromdate: fromdateiso8601;
def date: todateiso8601;
def dateadd(unit; $n): . + $n;
def datesub(unit; $n): . - $n;
def localtime: gmtime;
def strflocaltime($format): strftime($format);

# Formats
def @text: tostring;
def @json: tojson;
def @html: tostring | __html;
def @uri: tostring | __uri;
def @urid: tostring | __urid;
def @base64: tostring | __base64;
def @base64d: tostring | __base64d;
def @base32: tostring | __base32;
def @base32d: tostring | __base32d;
def __shell: if type == "string" then __sh elif type | . == "array" or . == "object" then error("\(type) cannot be escaped for a shell") else tojson end;
def @sh: [if type == "array" then .[] else . end | __shell] | join(" ");
def __cell(text): if type | . == "number" or . == "boolean" then tojson elif . == null then "" elif type == "string" then text else error("\(type) is not valid in a row") end;
def @csv: if type == "array" then [.[] | __cell(__csv)] | join(",") else error("\(type) cannot be formatted as a row, only an array") end;
def @tsv: if type == "array" then [.[] | __cell(__tsv)] | join("\t") else error("\(type) cannot be formatted as a row, only an array") end;

def format($name): if $name == "text" then @text elif $name == "json" then @json elif $name == "html" then @html elif $name == "uri" then @uri elif $name == "urid" then @urid elif $name == "base64" then @base64 elif $name == "base64d" then @base64d elif $name == "base32" then @base32 elif $name == "base32d" then @base32d elif $name == "sh" then @sh elif $name == "csv" then @csv elif $name == "tsv" then @tsv else error("\($name) is not a valid format") end;

# The world outside: an expression sees its input and the given environment.
def env: $ENV;
def debug: .;
def debug(message): .;
def stderr: .;
def input_filename: null;
def input_line_number: 0;
def input: error("input is not available: an expression is given one object");
def inputs: error("inputs is not available: an expression is given one object");
def halt: error("halt is not available in an expression");
def halt_error: error("halt_error is not available in an expression");
def halt_error($code): error("halt_error is not available in an expression");
