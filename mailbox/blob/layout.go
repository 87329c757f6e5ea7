package blob

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// perFolder is how many ids share a folder. One account alone fills a folder
// with 4,096 files; with fifty accounts a folder still holds eighty, so that
// few folders have to be made and synced.
const perFolder = 4096

func ownerName(owner int64) string {
	if owner == Queue {
		return "queue"
	}
	return strconv.FormatInt(owner, 10)
}

func (s *Store) folder(id ID, owner int64) string {
	return filepath.Join(s.dir, ownerName(owner), strconv.FormatInt(int64(id)/perFolder, 10))
}

func name(id ID) string { return strconv.FormatInt(int64(id), 10) + ".eml" }

// number reads a file's name; false for names that are not ours.
func number(name string) (ID, bool) {
	base, ok := strings.CutSuffix(name, ".eml")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(base, 10, 64)
	return ID(n), err == nil && n > 0 && strconv.FormatInt(n, 10) == base
}

// owners lists the folders of owners.
func (s *Store) owners() ([]int64, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var all []int64
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if e.Name() == ownerName(Queue) {
			all = append(all, Queue)
		} else if n, err := strconv.ParseInt(e.Name(), 10, 64); err == nil && n > 0 {
			all = append(all, n)
		}
	}
	return all, nil
}

// shards lists an owner's folders at or above the one that holds id from.
func (s *Store) shards(owner int64, from ID) ([]int64, error) {
	f, err := os.Open(filepath.Join(s.dir, ownerName(owner)))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var all []int64
	for _, n := range names {
		if k, err := strconv.ParseInt(n, 10, 64); err == nil && k >= int64(from)/perFolder {
			all = append(all, k)
		}
	}
	return all, nil
}

// names lists the ids that have a file in one folder.
func (s *Store) names(owner, shard int64) ([]ID, error) {
	f, err := os.Open(filepath.Join(s.dir, ownerName(owner), strconv.FormatInt(shard, 10)))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	ids := make([]ID, 0, len(names))
	for _, n := range names {
		if id, ok := number(n); ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// greatestName finds the greatest id among all files: the last folder of each
// owner is enough.
func (s *Store) greatestName() (ID, error) {
	owners, err := s.owners()
	if err != nil {
		return 0, err
	}
	var top ID
	for _, owner := range owners {
		shards, err := s.shards(owner, top)
		if err != nil {
			return 0, err
		}
		for len(shards) > 0 {
			at := 0
			for i, k := range shards {
				if k > shards[at] {
					at = i
				}
			}
			ids, err := s.names(owner, shards[at])
			if err != nil {
				return 0, err
			}
			for _, id := range ids {
				top = max(top, id)
			}
			if len(ids) > 0 {
				break
			}
			shards = append(shards[:at], shards[at+1:]...) // an empty folder: the one before
		}
	}
	return top, nil
}
