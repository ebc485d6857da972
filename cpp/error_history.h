/*
 *  error_history.h
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PYRAMIDAL_ERROR_HISTORY_H
#define PYRAMIDAL_ERROR_HISTORY_H

#include <algorithm>
#include <cstdint>
#include <deque>
#include <limits>
#include <vector>

namespace nest
{

/**
 * Every dendritic error of one compartment, for synapses that step over them (dendritic_error_reference_synapse).
 *
 * Errors that all synapses have read are dropped. A silent presynaptic cell keeps them all: for long runs there is
 * dendritic_error_synapse, which means the same and does not.
 */
class ErrorHistory
{
public:
  //! One more synapse will step over the errors.
  void
  add_reader()
  {
    ++readers_;
  }

  //! A synapse that has seen the errors up to time t (steps) is gone.
  void
  remove_reader( const long t )
  {
    --readers_;
    for ( long k = first_; k <= std::min( t, last_() ); ++k )
    {
      --errors_[ k - first_ ].reads;
    }
    drop_();
  }

  bool
  wanted() const
  {
    return readers_ > 0;
  }

  //! Keep the error of the step that ends at time t (steps).
  void
  archive( const long t, const double error )
  {
    if ( errors_.empty() )
    {
      first_ = t;
    }
    errors_.push_back( { error, 0 } );
  }

  //! The neuron was reset at time t (steps).
  void
  reset( const long t )
  {
    resets_.push_back( t );
  }

  /**
   * Step over what a connection with a delay of D steps sees between its spikes at n0 and n1.
   *
   * step( error ) is called for every error of that time, rest() where the neuron was reset.
   */
  template < typename StepT, typename RestT >
  void
  visit( const long n0, const long n1, const long D, StepT step, RestT rest )
  {
    const auto next_reset = std::lower_bound( resets_.begin(), resets_.end(), n0 );
    const long last_reset = next_reset == resets_.begin() ? std::numeric_limits< long >::min() : *( next_reset - 1 );
    const bool was_reset = next_reset != resets_.end() and *next_reset < n1;
    for ( long t = n0 - D + 1, end = was_reset ? *next_reset : n1 - D; t <= end; ++t )
    {
      step( t > last_reset ? at_( t ) : 0.0 );
    }
    if ( was_reset )
    {
      rest();
    }
    release_( n0 - D, n1 - D );
  }

private:
  struct Entry
  {
    double error;
    uint32_t reads;  //!< synapses that have stepped over it
  };

  double
  at_( const long t ) const
  {
    return t < first_ or errors_.empty() ? 0.0 : errors_[ t - first_ ].error;
  }

  //! A synapse has read the errors of times t0 < t <= t1.
  void
  release_( const long t0, const long t1 )
  {
    for ( long t = std::max( t0 + 1, first_ ); t <= std::min( t1, last_() ); ++t )
    {
      ++errors_[ t - first_ ].reads;
    }
    drop_();
  }

  //! Time of the latest error (steps).
  long
  last_() const
  {
    return first_ + static_cast< long >( errors_.size() ) - 1;
  }

  //! Drop what all have read.
  void
  drop_()
  {
    while ( not errors_.empty() and errors_.front().reads >= readers_ )
    {
      errors_.pop_front();
      ++first_;
    }
  }

  std::deque< Entry > errors_;  //!< errors of times first_, first_ + 1, ...
  long first_ = 0;              //!< time of the oldest error (steps)
  uint32_t readers_ = 0;        //!< synapses that step over the errors
  std::vector< long > resets_;  //!< times of all resets (steps)
};

}  // namespace nest

#endif
