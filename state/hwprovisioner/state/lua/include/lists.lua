-- Lists of ids and cards as they stand in records: words between commas, '' for none; and Lua's own.

local function split(list)
  local words = {}
  for word in string.gmatch(list or '', '[^,]+') do
    words[#words + 1] = word
  end
  return words
end

-- Appends a list to another, and returns that.
local function extend(list, more)
  for _, word in ipairs(more) do
    list[#list + 1] = word
  end
  return list
end

-- The list and another, or one more word.
local function with(list, more)
  if not list or list == '' then
    return more
  end
  return more == '' and list or list .. ',' .. more
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
