-- Lists of ids and cards as they stand in records: words between commas, '' for none.

local function split(list)
  local words = {}
  for word in string.gmatch(list or '', '[^,]+') do
    words[#words + 1] = word
  end
  return words
end

local function with(list, word)
  if not list or list == '' then
    return word
  end
  return list .. ',' .. word
end

-- The list without each of some words.
local function without(list, gone)
  local is_gone, rest = {}, {}
  for _, word in ipairs(gone) do
    is_gone[word] = true
  end
  for _, word in ipairs(split(list)) do
    if not is_gone[word] then
      rest[#rest + 1] = word
    end
  end
  return table.concat(rest, ',')
end
