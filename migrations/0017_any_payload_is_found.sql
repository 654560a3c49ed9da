-- Whatever may be appended may be found. jsonb has no U+0000, no half of a surrogate pair and no number beyond the bounds
-- of numeric, so a payload with one of these is compared in a form that jsonb has: U+0001 and another character stand for
-- what jsonb has not and for U+0001 itself, and a text that begins with U+0001 and n for a number. All other values stay
-- as they are.
DROP FUNCTION payload_contains(json, jsonb);

CREATE FUNCTION searchable(source text) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
  changed text;
BEGIN
  IF position('\u0001' IN source) = 0 THEN
    BEGIN
      RETURN source::jsonb;
    EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
      NULL;
    END;
  END IF;

  -- From here on each backslash begins an escape.
  changed := replace(source, '\\', '\u005c');
  changed := replace(replace(changed, '\u0001', '\u00011'), '\u0000', '\u00010');
  IF changed ~ '\\u[dD][89a-fA-F]' THEN
    -- Halves of pairs: \udXYZ is told by \u5XYZ. First the high ones before no low one, then the low ones after no high one.
    changed := regexp_replace(changed,
      '\\u[dD]([89abAB][0-9a-fA-F]{2})(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})', '\\u0001\\u5\1', 'g');
    changed := regexp_replace(changed,
      '(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD]([c-fC-F][0-9a-fA-F]{2})', '\\u0001\\u5\1', 'g');
  END IF;
  BEGIN
    RETURN changed::jsonb;
  EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
    NULL;
  END;

  -- Numbers that are long or have an exponent are written as 0.digits * 10^point; those beyond the bounds, as a text that
  -- is the same for the same value. Everything else is passed over in runs.
  SELECT string_agg(
           CASE WHEN token !~ '^[-0-9]' THEN token
                WHEN digits = '' THEN '0'
                WHEN point IS NULL THEN '"\u0001n' || token || '"'
                WHEN point <= 131072 AND length(digits) - point <= 16383 THEN sign || '0.' || digits || 'e' || point
                ELSE '"\u0001n' || sign || digits || 'e' || point || '"' END,
           '' ORDER BY place)
    INTO changed
    FROM regexp_matches(changed,
           '(?:[^-0-9"]|"(?:[^"\\]|\\.)*"|[-0-9][-+.0-9]{0,100}(?![-+.0-9eE]))+|[-0-9][-+.0-9eE]*', 'g')
           WITH ORDINALITY AS found(match, place),
         LATERAL (SELECT match[1] AS token, substring(match[1] FROM '^-?[.0-9]+') AS mantissa,
                         coalesce(substring(match[1] FROM '^-?[.0-9]+[eE](.+)'), '0') AS exponent) written,
         LATERAL (SELECT CASE WHEN mantissa LIKE '-%' THEN '-' ELSE '' END AS sign,
                         length(ltrim(split_part(mantissa, '.', 1), '-')) AS whole,
                         translate(mantissa, '-.', '') AS figures) parts,
         LATERAL (SELECT ltrim(figures, '0') AS significant) stripped,
         LATERAL (SELECT rtrim(significant, '0') AS digits,
                         -- An exponent that is itself beyond the bounds is told as it is written.
                         CASE WHEN length(ltrim(exponent, '-+0')) <= 1000
                              THEN whole - (length(figures) - length(significant)) + exponent::numeric END AS point) number;
  RETURN changed::jsonb;
END
$$;
