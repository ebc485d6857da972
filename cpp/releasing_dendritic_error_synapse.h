/*
 *  releasing_dendritic_error_synapse.h
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PYRAMIDAL_RELEASING_DENDRITIC_ERROR_SYNAPSE_H
#define PYRAMIDAL_RELEASING_DENDRITIC_ERROR_SYNAPSE_H

#include "dendritic_error_rate_synapse.h"
#include "dendritic_error_synapse.h"
#include "release.h"

namespace nest
{

/* BeginUserDocs: synapse, plasticity

Short description
+++++++++++++++++

Synapse that learns from the dendritic error of its target and transmits some of the spikes only

Description
+++++++++++

dendritic_error_synapse that releases transmitter with the probability p. Each spike is transmitted or not, whatever becomes of the
others: of c spikes in a step, a number from the binomial distribution of c and p. Trace and weight know only what was released.

With release_per_trial a synapse is there or not for all of a trial (DropConnect): there, it transmits c / p for c spikes, and its trace counts
as many; else nothing. That is so in trials in which the target learns (its parameter learning); in others the synapse is as without. Trials
are those of the target.

Random numbers are a function of NEST's rng_seed, the key of the connection, and the time of the spike or the onset of the trial: they do not
depend on threads and processes. Synapses with the same key release together. With eta = 0 this is a static synapse.

releasing_dendritic_error_rate_synapse is dendritic_error_rate_synapse for cells that send rates. It transmits the mean, p times the rate;
with release_per_trial the rate over p, or nothing.

Parameters
++++++++++

Common to all synapses of a model (SetDefaults, CopyModel), besides those of dendritic_error_synapse and dendritic_error_rate_synapse:

===================== ========= ===================================================
 release_probability   1         Probability p, above 0
 release_per_trial     false     One draw for all of a trial instead of each spike
===================== ========= ===================================================

Each connection, besides weight and delay:

======= =========================================================================================================
 key     Which random numbers are its own, 0 or more; if none is given, one that follows from source, target and receptor
======= =========================================================================================================

Transmits
+++++++++

SpikeEvent; releasing_dendritic_error_rate_synapse: SICEvent

References
++++++++++

.. [1] Wan L, Zeiler M, Zhang S, LeCun Y, Fergus R (2013). Regularization of neural networks using DropConnect. ICML, PMLR 28:1058-1066.

See also
++++++++

dendritic_error_synapse, dendritic_error_rate_synapse, bernoulli_synapse

EndUserDocs */

//! Properties that all synapses of one model share: those of PropertiesT, and how they release.
template < typename PropertiesT >
class ReleasingProperties : public PropertiesT
{
public:
  void
  get_status( Dictionary& d ) const
  {
    PropertiesT::get_status( d );
    release_.get_status( d );
  }

  void
  set_status( const Dictionary& d, ConnectorModel& cm )
  {
    Release changed = release_;
    changed.set_status( d, cm.get_name() );
    PropertiesT::set_status( d, cm );
    release_ = changed;
  }

  const Release&
  release() const
  {
    return release_;
  }

private:
  Release release_;
};

/**
 * What becomes of the spikes, or of a rate, of time n (steps) if a synapse is there or not for all of a trial: they are multiplied by m / p,
 * or by 1 in trials without learning.
 */
inline double
released_in_trial( const double count,
  const Release& release,
  const uint64_t seed,
  const ReleaseKey& key,
  const DendriticErrorArchivingNode& target,
  const long n )
{
  const long onset = target.learning_trial( n );
  if ( onset < 0 )
  {
    return count;
  }
  const CounterBasedBits bits{ seed, key.value(), static_cast< uint64_t >( onset ) };
  return release.released( bits, 0, 1 ) > 0 ? count / release.probability() : 0.0;
}

class ReleasingDendriticErrorSynapse : public DendriticErrorSynapse< 1 >
{
public:
  using Base = DendriticErrorSynapse< 1 >;
  using CommonPropertiesType = ReleasingProperties< Base::CommonPropertiesType >;

  //! Spikes of one presynaptic cell and step, with what is the same for all its synapses.
  struct Spikes : Base::Spikes
  {
    Spikes( const Event& e, const CommonPropertiesType& cp )
      : Base::Spikes( e, cp )
      , release( cp.release() )
      , seed( kernel_seed() )
    {
    }

    const Release& release;
    uint64_t seed;  //!< of the kernel
  };

  void
  check_connection( Node& source, Node& target, const size_t receptor_type, const CommonPropertiesType& cp )
  {
    Base::check_connection( source, target, receptor_type, cp );
    key_.choose( source.get_node_id(), target.get_node_id(), get_rport() );
  }

  //! Bring the weight up to the time of the spikes and deliver those that are released; whether there are any.
  bool
  deliver( const Spikes& spikes )
  {
    Base::Spikes released = spikes;
    released.count = spikes.release.per_trial()
      ? released_in_trial( spikes.count, spikes.release, spikes.seed, key_, *node_(), spikes.n )
      : released_( spikes );
    if ( released.count == 0.0 )
    {
      return false;
    }
    Base::deliver( released );
    return true;
  }

  bool
  send( Event& e, const size_t tid, const CommonPropertiesType& cp )
  {
    const bool is_released = deliver( Spikes( e, cp ) );
    describe_( e, tid );
    return is_released;
  }

  void get_status( Dictionary& d ) const;
  void set_status( const Dictionary& d, ConnectorModel& cm );

private:
  //! How many of the spikes are released. A neuron's of one step come one by one.
  double
  released_( const Spikes& spikes )
  {
    const uint32_t n = static_cast< uint32_t >( spikes.n );
    n_seen_ = n == time_ ? n_seen_ : 0;
    time_ = n;
    const uint64_t count = static_cast< uint64_t >( spikes.count );
    const CounterBasedBits bits{ spikes.seed, key_.value(), static_cast< uint64_t >( spikes.n ) };
    const uint64_t released = spikes.release.released( bits, n_seen_, count );
    n_seen_ += count;
    return static_cast< double >( released );
  }

  ReleaseKey key_;
  uint32_t time_ = 0;    //!< of the last spikes (steps, lower half)
  uint32_t n_seen_ = 0;  //!< how many they were so far, released or not
};

template <>
inline size_t
Connector< ReleasingDendriticErrorSynapse >::send( const size_t tid,
  const size_t lcid,
  const std::vector< ConnectorModel* >& cm,
  Event& e )
{
  return deliver_to_all_targets( *this, C_, tid, lcid, *cm[ syn_id_ ], e );
}

template <>
inline size_t
Connector< ConnectionLabel< ReleasingDendriticErrorSynapse > >::send( const size_t tid,
  const size_t lcid,
  const std::vector< ConnectorModel* >& cm,
  Event& e )
{
  return deliver_to_all_targets( *this, C_, tid, lcid, *cm[ syn_id_ ], e );
}

//! Names and template parameters are those that NEST expects.
template < typename targetidentifierT >
using releasing_dendritic_error_synapse = ReleasingDendriticErrorSynapse;

template < typename targetidentifierT >
class releasing_dendritic_error_rate_synapse : public dendritic_error_rate_synapse< targetidentifierT >
{
public:
  using Base = dendritic_error_rate_synapse< targetidentifierT >;
  using CommonPropertiesType = ReleasingProperties< DendriticErrorRateProperties >;

  void
  check_connection( Node& source, Node& target, const size_t receptor_type, const CommonPropertiesType& cp )
  {
    Base::check_connection( source, target, receptor_type, cp );
    key_.choose( source.get_node_id(), target.get_node_id(), this->get_rport() );
  }

  bool
  send( Event& e, const size_t tid, const CommonPropertiesType& cp )
  {
    const Release& release = cp.release();
    const uint64_t seed = kernel_seed();
    const DendriticErrorArchivingNode& target = this->node_( tid );
    return this->receive_( e,
      tid,
      cp,
      [ & ]( const double rate, const long n )
      {
        return release.per_trial() ? released_in_trial( rate, release, seed, key_, target, n )
                                   : rate * release.probability();
      } );
  }

  void get_status( Dictionary& d ) const;
  void set_status( const Dictionary& d, ConnectorModel& cm );

private:
  ReleaseKey key_;
};

template < typename targetidentifierT >
void
releasing_dendritic_error_rate_synapse< targetidentifierT >::get_status( Dictionary& d ) const
{
  Base::get_status( d );
  key_.get_status( d );
  d[ names::size_of ] = static_cast< long >( sizeof( *this ) );
}

template < typename targetidentifierT >
void
releasing_dendritic_error_rate_synapse< targetidentifierT >::set_status( const Dictionary& d, ConnectorModel& cm )
{
  ReleaseKey changed = key_;
  changed.set_status( d, cm.get_name() );
  Base::set_status( d, cm );
  key_ = changed;
}

}  // namespace nest

#endif
